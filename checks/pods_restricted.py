"""The Pod Security Standard "restricted", over every pod in the YAML on standard input.

Written from the standard's own list of controls, as no cluster is here to ask. With --mutants it also breaks the first pod
in one way after the other and fails where a breach is not seen.
"""

import copy
import sys

import yaml

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}
PROFILES = {"RuntimeDefault", "Localhost"}


def pods(objects):
    for each in objects:
        kind, spec = each.get("kind"), each.get("spec") or {}
        if kind == "Pod":
            yield each
        elif kind == "CronJob":
            yield spec["jobTemplate"]["spec"]["template"]
        elif isinstance(spec.get("template"), dict) and "containers" in (spec["template"].get("spec") or {}):
            yield spec["template"]


def breaches(pod):
    spec = pod["spec"]
    own = spec.get("securityContext") or {}
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes") or []:
        if not set(volume) - {"name"} <= VOLUMES:
            yield f"a volume of kind {sorted(set(volume) - {'name'})}"
    for each in own.get("sysctls") or []:
        if each["name"] not in SYSCTLS:
            yield f"sysctl {each['name']}"
    for key in pod.get("metadata", {}).get("annotations") or {}:
        if key.startswith("container.apparmor.security.beta.kubernetes.io/"):
            yield "AppArmor by annotation: not judged here"
    containers = [
        container
        for key in ("containers", "initContainers", "ephemeralContainers")
        for container in spec.get(key) or []
    ]
    contexts = [container.get("securityContext") or {} for container in containers]
    for context in [own, *contexts]:
        if (context.get("windowsOptions") or {}).get("hostProcess"):
            yield "hostProcess"
        selinux = context.get("seLinuxOptions") or {}
        if selinux.get("type", "") not in SELINUX or selinux.get("user") or selinux.get("role"):
            yield "SELinux options"
        if (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault") not in PROFILES:
            yield "AppArmor profile"
        if context.get("runAsUser") == 0:
            yield "runAsUser 0"
        if (context.get("seccompProfile") or {}).get("type", "RuntimeDefault") not in PROFILES:
            yield "seccomp profile"
    for container, context in zip(containers, contexts):
        capabilities = context.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or []):
            yield "not all capabilities are dropped"
        if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
            yield "capabilities are added"
        if context.get("privileged"):
            yield "privileged"
        if context.get("allowPrivilegeEscalation") is not False:
            yield "allowPrivilegeEscalation"
        if context.get("runAsNonRoot", own.get("runAsNonRoot")) is not True:
            yield "runAsNonRoot"
        if (context.get("seccompProfile") or own.get("seccompProfile") or {}).get("type") not in PROFILES:
            yield "no seccomp profile"
        if context.get("procMount", "Default") != "Default":
            yield "procMount"
        if any(port.get("hostPort") for port in container.get("ports") or []):
            yield "hostPort"
        handlers = [container.get(f"{name}Probe") or {} for name in ("liveness", "readiness", "startup")]
        handlers += [handler or {} for handler in (container.get("lifecycle") or {}).values()]
        if any((handler.get(way) or {}).get("host") for handler in handlers for way in ("httpGet", "tcpSocket")):
            yield "a probe of another host"


def put(*path, value):
    def change(pod):
        at = pod
        for step in path[:-1]:
            at = at[step] if isinstance(step, int) else at.setdefault(step, {})
        at[path[-1]] = value
    return change


SPEC, FIRST = ("spec",), ("spec", "containers", 0)
OWN, CONTEXT = (*SPEC, "securityContext"), (*FIRST, "securityContext")
MUTANTS = [
    put(*SPEC, "hostNetwork", value=True),
    put(*SPEC, "hostPID", value=True),
    put(*SPEC, "hostIPC", value=True),
    put(*SPEC, "volumes", value=[{"name": "host", "hostPath": {"path": "/"}}]),
    put(*SPEC, "volumes", value=[{"name": "share", "nfs": {"server": "a", "path": "/"}}]),
    put(*SPEC, "initContainers", value=[{"name": "first", "image": "a"}]),
    put(*OWN, "sysctls", value=[{"name": "kernel.msgmax", "value": "1"}]),
    put(*OWN, "runAsUser", value=0),
    put(*OWN, "runAsNonRoot", value=None),
    put(*OWN, "seccompProfile", value=None),
    put(*OWN, "seccompProfile", value={"type": "Unconfined"}),
    put(*OWN, "seLinuxOptions", value={"type": "spc_t"}),
    put(*OWN, "appArmorProfile", value={"type": "Unconfined"}),
    put(*OWN, "windowsOptions", value={"hostProcess": True}),
    put(*CONTEXT, "runAsUser", value=0),
    put(*CONTEXT, "runAsNonRoot", value=False),
    put(*CONTEXT, "privileged", value=True),
    put(*CONTEXT, "allowPrivilegeEscalation", value=None),
    put(*CONTEXT, "capabilities", value={"drop": ["NET_RAW"]}),
    put(*CONTEXT, "capabilities", value={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    put(*CONTEXT, "seccompProfile", value={"type": "Unconfined"}),
    put(*CONTEXT, "procMount", value="Unmasked"),
    put(*FIRST, "ports", value=[{"containerPort": 8080, "hostPort": 80}]),
    put(*FIRST, "livenessProbe", value={"httpGet": {"host": "10.0.0.1", "port": 80}}),
]

found = list(pods(each for each in yaml.safe_load_all(sys.stdin) if each))
if not found:
    sys.exit("no pod to judge")
seen = [breach for pod in found for breach in breaches(pod)]
if seen:
    sys.exit(f"not restricted: {', '.join(seen)}")
if "--mutants" in sys.argv:
    for number, mutant in enumerate(MUTANTS, 1):
        pod = copy.deepcopy(found[0])
        mutant(pod)
        if not list(breaches(pod)):
            sys.exit(f"breach {number} is not seen")
    print(len(MUTANTS), "breaches, each seen")
