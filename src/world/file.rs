//! Files that somebody has named to us: none of them is large, and some names lead elsewhere than to a file.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// No config, secret or bundle of certificates is larger (bytes).
const CAP: u64 = 1 << 20;

/// All of it. A device has no end, and a file that is larger than any of ours is another one.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_block_device() || kind.is_char_device() || kind.is_socket() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is a device or a socket, not a file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(CAP + 1).read_to_end(&mut content)?;
    if content.len() as u64 > CAP {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {CAP} bytes; is this the right file?")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_and_what_is_larger_than_any_of_ours_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, vec![b'x'; CAP as usize]).unwrap();
        assert_eq!(read(&file).unwrap().len() as u64, CAP);
        std::fs::write(&file, vec![b'x'; CAP as usize + 1]).unwrap();
        assert!(read(&file).unwrap_err().to_string().contains("more than 1048576 bytes"));
        assert!(read(Path::new("/dev/zero")).unwrap_err().to_string().contains("a device"));
        assert_eq!(read(&dir.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(read(dir.path()).is_err());
    }
}
