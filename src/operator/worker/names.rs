//! Names of what belongs to a worker. A pod's name is a label's value too, with the revision behind it, so 52 characters are all.

use sha2::{Digest as _, Sha256};

use crate::model::words::hex;

const LONGEST: usize = 52;
const HASH: usize = 8;

/// `unscim-` and the resource's name, which is a name of one label: short, without dots, and unlike that of any other resource.
pub fn of(resource: &str) -> String {
    let name = format!("unscim-{resource}");
    if name.len() <= LONGEST && !name.contains('.') {
        return name;
    }
    let hash = &hex(Sha256::digest(resource))[..HASH];
    let plain = name.replace('.', "-");
    let kept = &plain[..plain.len().min(LONGEST - HASH - 1)];
    format!("{}-{hash}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_where_it_can_be_and_stays_unlike_others_where_not() {
        assert_eq!(of("uniqkey"), "unscim-uniqkey");
        let names = [
            "a.b",
            "a-b",
            &"x".repeat(63),
            &format!("{}y", "x".repeat(62)),
            &"x".repeat(45),
            &"x".repeat(46),
            &format!("{}-b", "x".repeat(35)),
        ];
        let derived: std::collections::BTreeSet<_> = names.iter().map(|name| of(name)).collect();
        assert_eq!(derived.len(), names.len());
        for name in derived {
            let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            assert!(plain && name.len() <= LONGEST && !name.ends_with('-'), "{name}");
        }
    }
}
