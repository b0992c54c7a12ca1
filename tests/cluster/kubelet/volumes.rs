//! A pod's volumes as folders, laid out and exchanged as a kubelet does: a new folder, and `..data` that is turned to it at once.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, KeyToPath, Pod, PodSecurityContext, Secret, ServiceAccount, ServiceAccountTokenProjection, Volume,
    VolumeProjection,
};
use kube::ResourceExt as _;
use kube::api::{Api, PostParams};
use serde_json::json;

use super::{OnNode, env};

const FILE_MODE: i32 = 0o644;

/// What is in a volume, by path: its bytes and its mode.
type Files = BTreeMap<String, (Vec<u8>, u32)>;
type Keys = BTreeMap<String, Vec<u8>>;

/// The volumes of one pod.
#[derive(Default)]
pub(super) struct Volumes {
    laid: BTreeMap<String, Files>,
    /// Tokens are asked for once: they live an hour, and no test does.
    tokens: BTreeMap<String, Vec<u8>>,
}

impl Volumes {
    /// Lays out what is not there or has changed. The failure is the kubelet's own message.
    pub(super) async fn lay_out(&mut self, on: &OnNode, pod: &Pod, folder: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
        let spec = pod.spec.as_ref().expect("it is stored");
        let group = spec.security_context.as_ref().and_then(|context: &PodSecurityContext| context.fs_group);
        let mut paths = BTreeMap::new();
        for volume in spec.volumes.iter().flatten() {
            let failed = |why: String| format!("MountVolume.SetUp failed for volume {:?} : {why}", volume.name);
            let path = match &volume.persistent_volume_claim {
                Some(claim) => {
                    let found = on.claim(&pod.namespace().expect("stored"), &claim.claim_name);
                    let found = found.ok_or_else(|| failed(format!("persistentvolumeclaim {:?} not found", claim.claim_name)))?;
                    on.claim_folder(&found.uid().expect("stored"))
                }
                None => folder.join(&volume.name),
            };
            std::fs::create_dir_all(&path).map_err(|error| failed(error.to_string()))?;
            if volume.persistent_volume_claim.is_some() || volume.empty_dir.is_some() {
                shared_with(&path, group).map_err(|error| failed(error.to_string()))?;
            } else {
                let files = self.files(on, pod, volume).await.map_err(failed)?;
                if self.laid.get(&volume.name) != Some(&files) {
                    exchange(&path, &files, group).map_err(|error| failed(error.to_string()))?;
                    self.laid.insert(volume.name.clone(), files);
                }
            }
            paths.insert(volume.name.clone(), path);
        }
        Ok(paths)
    }

    async fn files(&mut self, on: &OnNode, pod: &Pod, volume: &Volume) -> Result<Files, String> {
        if let Some(source) = &volume.secret {
            let name = source.secret_name.as_deref().unwrap_or_default();
            let mode = source.default_mode.unwrap_or(FILE_MODE);
            return secret(on, pod, name, source.items.as_deref(), mode, source.optional == Some(true));
        }
        if let Some(source) = &volume.config_map {
            let mode = source.default_mode.unwrap_or(FILE_MODE);
            return config_map(on, pod, &source.name, source.items.as_deref(), mode, source.optional == Some(true));
        }
        let Some(source) = &volume.projected else { return Err("this kubelet has no such kind of volume".into()) };
        let (mut files, mode) = (Files::new(), source.default_mode.unwrap_or(FILE_MODE));
        for source in source.sources.iter().flatten() {
            files.extend(self.projected(on, pod, source, mode).await?);
        }
        Ok(files)
    }

    async fn projected(&mut self, on: &OnNode, pod: &Pod, source: &VolumeProjection, mode: i32) -> Result<Files, String> {
        if let Some(source) = &source.secret {
            return secret(on, pod, &source.name, source.items.as_deref(), mode, source.optional == Some(true));
        }
        if let Some(source) = &source.config_map {
            return config_map(on, pod, &source.name, source.items.as_deref(), mode, source.optional == Some(true));
        }
        if let Some(source) = &source.service_account_token {
            let key = format!("{:?}", (&source.audience, source.expiration_seconds));
            if !self.tokens.contains_key(&key) {
                let token = token(on, pod, source).await?;
                self.tokens.insert(key.clone(), token);
            }
            return Ok(Files::from([(source.path.clone(), (self.tokens[&key].clone(), mode as u32))]));
        }
        let Some(source) = &source.downward_api else { return Err("this kubelet has no such kind of source".into()) };
        let ip = std::net::Ipv4Addr::UNSPECIFIED.into();
        let file = |item: &k8s_openapi::api::core::v1::DownwardAPIVolumeFile| {
            let field = item.field_ref.as_ref().ok_or("this kubelet knows no resource fields")?;
            let text = env::field(pod, &field.field_path, ip)?;
            Ok((item.path.clone(), (text.into_bytes(), item.mode.unwrap_or(mode) as u32)))
        };
        source.items.iter().flatten().map(file).collect()
    }
}

async fn token(on: &OnNode, pod: &Pod, source: &ServiceAccountTokenProjection) -> Result<Vec<u8>, String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(on.client.clone(), &pod.namespace().expect("stored"));
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
    let spec = TokenRequestSpec {
        audiences: source.audience.iter().cloned().collect(),
        expiration_seconds: source.expiration_seconds,
        bound_object_ref: serde_json::from_value(
            json!({ "apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "uid": pod.uid() }),
        )
        .expect("a reference"),
    };
    let asked = TokenRequest { spec, ..TokenRequest::default() };
    let given = accounts.create_token_request(account, &PostParams::default(), &asked).await;
    let given = given.map_err(|error| format!("failed to fetch token: {error}"))?;
    Ok(given.status.expect("a token").token.into_bytes())
}

fn secret(on: &OnNode, pod: &Pod, name: &str, items: Option<&[KeyToPath]>, mode: i32, optional: bool) -> Result<Files, String> {
    let keys = |secret: &Secret| secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    let found = on.secret(&pod.namespace().expect("stored"), name).map(|secret| keys(&secret));
    let found = found.or(optional.then(Keys::new)).ok_or_else(|| format!("secret {name:?} not found"))?;
    chosen(found, items, mode, optional).map_err(|key| format!("references non-existent secret key: {key}"))
}

fn config_map(
    on: &OnNode,
    pod: &Pod,
    name: &str,
    items: Option<&[KeyToPath]>,
    mode: i32,
    optional: bool,
) -> Result<Files, String> {
    let keys = |map: &ConfigMap| {
        let text = map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
        text.chain(map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()))).collect()
    };
    let found = on.config_map(&pod.namespace().expect("stored"), name).map(|map| keys(&map));
    let found = found.or(optional.then(Keys::new)).ok_or_else(|| format!("configmap {name:?} not found"))?;
    chosen(found, items, mode, optional).map_err(|key| format!("configmap references non-existent config key: {key}"))
}

/// The failure is the key that is missing.
fn chosen(mut keys: Keys, items: Option<&[KeyToPath]>, mode: i32, optional: bool) -> Result<Files, String> {
    let Some(items) = items else {
        return Ok(keys.into_iter().map(|(key, value)| (key, (value, mode as u32))).collect());
    };
    let mut files = Files::new();
    for item in items {
        match keys.remove(&item.key) {
            Some(value) => drop(files.insert(item.path.clone(), (value, item.mode.unwrap_or(mode) as u32))),
            None if optional => {}
            None => return Err(item.key.clone()),
        }
    }
    Ok(files)
}

/// For the group that the pod's processes are in, and what is made in it too.
fn shared_with(path: &Path, group: Option<i64>) -> std::io::Result<()> {
    match group {
        Some(group) => {
            chown(path, None, Some(group as u32))?;
            std::fs::set_permissions(path, Permissions::from_mode(0o2775))
        }
        None => std::fs::set_permissions(path, Permissions::from_mode(0o777)),
    }
}

fn exchange(path: &Path, files: &Files, group: Option<i64>) -> std::io::Result<()> {
    let before = std::fs::read_link(path.join("..data")).ok();
    let now = k8s_openapi::jiff::Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S.%f").to_string();
    for (name, (bytes, mode)) in files {
        let file = path.join(&now).join(name);
        std::fs::create_dir_all(file.parent().expect("it is in a folder"))?;
        std::fs::write(&file, bytes)?;
        chown(&file, None, group.map(|group| group as u32))?;
        let mode = if group.is_some() { mode | 0o440 } else { *mode };
        std::fs::set_permissions(&file, Permissions::from_mode(mode))?;
    }
    std::fs::create_dir_all(path.join(&now))?;
    symlink(&now, path.join("..data_tmp"))?;
    std::fs::rename(path.join("..data_tmp"), path.join("..data"))?;
    let top = |name: &String| name.split('/').next().expect("a name").to_owned();
    for name in files.keys().map(top) {
        if path.join(&name).symlink_metadata().is_err() {
            symlink(Path::new("..data").join(&name), path.join(&name))?;
        }
    }
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !files.keys().any(|file| top(file) == name) {
            std::fs::remove_file(path.join(name))?;
        }
    }
    before.map_or(Ok(()), |before| std::fs::remove_dir_all(path.join(before)))
}

#[test]
fn an_exchange_shows_all_of_the_new_and_nothing_of_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let files =
        |names: &[&str]| -> Files { names.iter().map(|name| ((*name).into(), (name.as_bytes().to_vec(), 0o400))).collect() };
    for names in [&["a", "b/c"][..], &["a", "d"], &[], &["b/c", "b/d"]] {
        exchange(dir.path(), &files(names), None).unwrap();
        let mut top: Vec<&str> = names.iter().map(|name| name.split('/').next().unwrap()).collect();
        top.dedup();
        let shown = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut shown: Vec<String> = shown.filter(|name| !name.starts_with("..")).collect();
        shown.sort();
        assert_eq!(shown, top);
        for name in names {
            assert_eq!(std::fs::read_to_string(dir.path().join(name)).unwrap(), *name);
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o400);
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "one folder, `..data` and one name");
}
