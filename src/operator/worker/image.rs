//! Which image a worker runs. Whoever writes a resource chooses a version, and not another program: the pod holds a credential.

/// The repository of a reference: without its tag and its digest.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before the last slash is a registry's port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// The one that is asked for, or the operator's own.
pub fn of(asked: Option<&str>, own: &str) -> Result<String, String> {
    match asked {
        None => Ok(own.to_owned()),
        Some(asked) if repository(asked) == repository(own) => Ok(asked.to_owned()),
        Some(asked) => Err(format!(
            "spec.worker.image {asked} is no version of {}, which alone this operator runs; name another version of that, or leave it out",
            repository(own)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_may_be_named_and_no_other_program() {
        let own = "registry.example:5000/unscim:0.1.0";
        assert_eq!(of(None, own).unwrap(), own);
        for fits in [
            "registry.example:5000/unscim:0.2.0",
            "registry.example:5000/unscim@sha256:00",
            "registry.example:5000/unscim:1@sha256:0",
        ] {
            assert_eq!(of(Some(fits), own).unwrap(), fits);
        }
        for another in ["unscim:0.1.0", "registry.example:5000/unscim2:0.1.0", "registry.example/unscim:0.1.0", ""] {
            assert!(of(Some(another), own).unwrap_err().contains("registry.example:5000/unscim,"), "{another}");
        }
    }
}
