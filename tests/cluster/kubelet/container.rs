//! A container: our binary with a root, mounts, a user and rights of its own, as the pod's security context has it.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::{Container, Pod};
use rustix::mount::{MountFlags, MountPropagationFlags, mount_bind_recursive, mount_change, mount_remount};
use rustix::thread::{CapabilitySet, UnshareFlags};

use super::address::listened_on;
use super::env::{Env, expanded};
use super::process::Process;

/// The user of the image, and its entrypoint.
const USER: u32 = 65532;
const ENTRYPOINT: &str = "/unscim";

/// What the binary finds in the image, where the host has it; the image's own libraries and certificates are no other ones.
const OF_THE_HOST: &[&str] =
    &["/dev", "/proc", "/usr/lib", "/lib", "/lib64", "/etc/ssl", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"];

struct Mount {
    from: CString,
    to: CString,
    read_only: bool,
}

/// All that is done between fork and exec, where nothing may be allocated any more.
struct Inside {
    root: CString,
    mounts: Vec<Mount>,
    read_only: bool,
    user: u32,
    group: u32,
    groups: Vec<rustix::process::Gid>,
    keeps_capabilities: bool,
    may_gain: bool,
}

pub(super) fn start(
    binary: &Path,
    pod: &Pod,
    container: &Container,
    env: Env,
    volumes: &BTreeMap<String, PathBuf>,
    folder: &Path,
    ip: IpAddr,
) -> Result<Process, String> {
    let inside = inside(binary, pod, container, volumes, &folder.join("root")).map_err(|error| error.to_string())?;
    let run = || {
        let log = OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
        let mut command = Command::new(ENTRYPOINT);
        command.args(arguments(container, &env, ip)).env_clear().envs(environment(container, env, ip));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // SAFETY: system calls and nothing else, with what was made before the fork.
        unsafe { command.pre_exec(move || inside.enter()) };
        Process::start(command)
    };
    run().map_err(|error| format!("failed to create containerd task: {error}"))
}

/// The first word of a command is the binary, whatever it is called in the image.
fn arguments(container: &Container, env: &Env, ip: IpAddr) -> Vec<String> {
    let command = container.command.iter().flatten().skip(1).chain(container.args.iter().flatten());
    let mut arguments: Vec<String> = command.map(|word| expanded(word, env)).collect();
    for at in 0..arguments.len() {
        if let Some(address) = arguments[at].strip_prefix("--listen=") {
            arguments[at] = format!("--listen={}", listened_on(address, ip));
        } else if at > 0 && arguments[at - 1] == "--listen" {
            arguments[at] = listened_on(&arguments[at], ip);
        }
    }
    arguments
}

fn environment(container: &Container, env: Env, ip: IpAddr) -> Env {
    let mut all = Env::from([
        ("SSL_CERT_FILE".to_owned(), "/etc/ssl/certs/ca-certificates.crt".to_owned()),
        ("UNSCIM_DATA_DIR".to_owned(), "/var/lib/unscim".to_owned()),
    ]);
    all.extend(env);
    let port = container.ports.iter().flatten().next().map_or(8080, |port| port.container_port);
    let listen = all.get("UNSCIM_LISTEN").map_or_else(|| format!("{ip}:{port}"), |wanted| listened_on(wanted, ip));
    all.insert("UNSCIM_LISTEN".into(), listen);
    all
}

fn inside(
    binary: &Path,
    pod: &Pod,
    container: &Container,
    volumes: &BTreeMap<String, PathBuf>,
    root: &Path,
) -> io::Result<Inside> {
    let c = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let mut mounts = Vec::new();
    let mut mount = |from: &Path, at: &Path, read_only: bool| {
        let to = root.join(at.strip_prefix("/").unwrap_or(at));
        if from.is_dir() {
            std::fs::create_dir_all(&to)?;
        } else {
            std::fs::create_dir_all(to.parent().expect("it is below the root"))?;
            OpenOptions::new().create(true).append(true).open(&to)?;
        }
        mounts.push(Mount { from: c(from)?, to: c(&to)?, read_only });
        io::Result::Ok(())
    };
    for path in OF_THE_HOST.iter().map(Path::new).filter(|path| path.exists()) {
        // A device is of no use where nothing may be written.
        mount(path, path, !path.starts_with("/dev") && !path.starts_with("/proc"))?;
    }
    mount(binary, Path::new(ENTRYPOINT), true)?;
    for wanted in container.volume_mounts.iter().flatten() {
        let from = volumes.get(&wanted.name).ok_or_else(|| io::Error::other(format!("no volume {:?}", wanted.name)))?;
        // What a kubelet lays out is read-only, whatever the pod says.
        let laid_out = from.join("..data").exists();
        mount(from, Path::new(&wanted.mount_path), laid_out || wanted.read_only == Some(true))?;
    }
    let (of_pod, of_container) = (pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref()), &container.security_context);
    let of_container = of_container.as_ref();
    let user = of_container.and_then(|it| it.run_as_user).or(of_pod.and_then(|it| it.run_as_user)).map_or(USER, |id| id as u32);
    let group =
        of_container.and_then(|it| it.run_as_group).or(of_pod.and_then(|it| it.run_as_group)).map_or(USER, |id| id as u32);
    let groups = of_pod.into_iter().flat_map(|it| it.fs_group.iter().chain(it.supplemental_groups.iter().flatten()));
    let dropped = of_container.and_then(|it| it.capabilities.as_ref()?.drop.as_ref());
    Ok(Inside {
        root: c(root)?,
        mounts,
        read_only: of_container.and_then(|it| it.read_only_root_filesystem) == Some(true),
        user,
        group,
        groups: groups.map(|id| rustix::process::Gid::from_raw(*id as u32)).collect(),
        keeps_capabilities: !dropped.is_some_and(|dropped| dropped.iter().any(|name| name == "ALL")),
        may_gain: of_container.and_then(|it| it.allow_privilege_escalation) != Some(false),
    })
}

impl Inside {
    fn enter(&self) -> io::Result<()> {
        // SAFETY: this is a process of one thread, and it shares no files with another that it would lose.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS)? };
        mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount_bind_recursive(&*self.root, &*self.root)?;
        for mount in &self.mounts {
            mount_bind_recursive(&*mount.from, &*mount.to)?;
            if mount.read_only {
                mount_remount(&*mount.to, MountFlags::BIND | MountFlags::RDONLY, c"")?;
            }
        }
        if self.read_only {
            mount_remount(&*self.root, MountFlags::BIND | MountFlags::RDONLY, c"")?;
        }
        rustix::process::chdir(&*self.root)?;
        rustix::process::chroot(c".")?;
        if !self.keeps_capabilities {
            for capability in CapabilitySet::all().iter() {
                match rustix::thread::remove_capability_from_bounding_set(capability) {
                    // A capability that this kernel does not know.
                    Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let (user, group) = (rustix::process::Uid::from_raw(self.user), rustix::process::Gid::from_raw(self.group));
        rustix::thread::set_thread_groups(&self.groups)?;
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
        if !self.may_gain {
            rustix::thread::set_no_new_privs(true)?;
        }
        Ok(())
    }
}
