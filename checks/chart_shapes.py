"""What no schema says of the objects in the YAML on standard input: that they name each other rightly, and the shape of custom ones.

Kubernetes' own schemas know no custom resource. PodMonitor, ServiceMonitor and PrometheusRule are held here against the few
fields that this chart uses, written by hand: not against the operator's own schema. Arguments: the kinds that must be there.
"""

import json
import re
import sys

import yaml

objects = [each for each in yaml.safe_load_all(sys.stdin) if each]
wrong = []


def of(kind):
    return [each for each in objects if each["kind"] == kind]


def want(condition, text):
    if not condition:
        wrong.append(text)


def only(value, required, optional=()):
    keys = set(value)
    return set(required) <= keys <= set(required) | set(optional)


def covers(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def has(kind, name):
    return any(each["metadata"]["name"] == name for each in of(kind))


def scheme_of(container):
    return "https" if any(arg.startswith("--tls-cert-file=") for arg in container["args"]) else "http"


DURATION = re.compile(r"[1-9][0-9]*(ms|s|m|h|d)")
pods = [(each, each["spec"]["template"]) for each in of("Deployment")]
ports = {port["name"] for _, pod in pods for container in pod["spec"]["containers"] for port in container["ports"]}
labels = [pod["metadata"]["labels"] for _, pod in pods]
tests = of("Pod")
schemes = {scheme_of(container) for _, pod in pods for container in pod["spec"]["containers"]}

identities = [(each["kind"], each["metadata"]["name"]) for each in objects]
want(len(identities) == len(set(identities)), "two objects of one kind and name")
for each in objects:
    want(len(each["metadata"]["name"]) <= 63, f"{each['metadata']['name']} is too long a name")
    if each["kind"] not in ("Namespace", "ConfigMap"):
        for key in ("name", "instance", "version"):
            want(f"app.kubernetes.io/{key}" in each["metadata"]["labels"], f"{each['kind']} has no label {key}")

for deployment, pod in pods:
    spec = pod["spec"]
    want(covers(deployment["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]), "the deployment does not select its pod")
    want(deployment["spec"]["replicas"] == 1 and deployment["spec"]["strategy"]["type"] == "Recreate", "two could run at once")
    want(spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, "the pod is given too much")
    for container in spec["containers"]:
        names = [each["name"] for each in container["env"]]
        want(len(names) == len(set(names)), "two variables of one name")
        want("--listen=[::]:8080" in container["args"], "it listens to one family of addresses")
        want(container["securityContext"]["readOnlyRootFilesystem"] is True, "the root can be written")
        want({"requests", "limits"} <= set(container["resources"]), "no resources")
        for probe in ("livenessProbe", "readinessProbe"):
            want(container[probe]["httpGet"]["port"] in ports, f"{probe} asks a port that is none")
            want(container[probe]["httpGet"].get("scheme", "HTTP").lower() == scheme_of(container), f"{probe} asks by another scheme")
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        want(mounted == {volume["name"] for volume in spec["volumes"]}, "volumes and mounts differ")
    for volume in spec["volumes"]:
        if "persistentVolumeClaim" in volume and of("PersistentVolumeClaim"):
            want(has("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]), "the claim is another")
        if volume["name"] == "config" and "Helm" == pod["metadata"]["labels"].get("app.kubernetes.io/managed-by") and of("ConfigMap"):
            config = [each for each in of("ConfigMap") if "unscim.yaml" in each["data"]]
            want(not config or has("ConfigMap", volume["configMap"]["name"]), "the config map is another")
            want(not config or "checksum/config" in pod["metadata"]["annotations"], "a changed config starts no new pod")
    if of("ServiceAccount"):
        want(has("ServiceAccount", spec["serviceAccountName"]), "the service account is another")

for account in of("ServiceAccount"):
    want(account["automountServiceAccountToken"] is False, "the service account hands out its token")
for service in of("Service"):
    want(service["spec"]["type"] == "ClusterIP", "the service is seen from outside")
    want(any(covers(service["spec"]["selector"], each) for each in labels), "the service selects nothing")
    want(all(port["targetPort"] in ports for port in service["spec"]["ports"]), "the service leads to a port that is none")
for test in tests:
    own, spec = test["metadata"], test["spec"]
    want(own["annotations"]["helm.sh/hook"] == "test" and spec["restartPolicy"] == "Never", "a pod that is no test")
    want(spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, "the test's pod is given too much")
    for each in of("Service") + of("PodMonitor"):
        selector = each["spec"]["selector"]
        want(not covers(selector.get("matchLabels", selector), own["labels"]), f"the {each['kind']} takes the test for the daemon")
    for policy in of("NetworkPolicy"):
        want(not covers(policy["spec"]["podSelector"]["matchLabels"], own["labels"]), "the policy closes the test in")
    for container in spec["containers"]:
        want(all(container["image"] == each["image"] for _, pod in pods for each in pod["spec"]["containers"]), "the test has an image of its own")
        want({"requests", "limits"} <= set(container["resources"]), "no resources of the test")
        for service in of("Service"):
            asked = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
            plain, tls = ["status", "--ready", f"--url=http://{asked}"], ["status", "--ready", f"--url=https://{asked}"]
            right = tls + ["--ca-file=/etc/unscim-tls/ca.crt"] if schemes == {"https"} else plain
            want(container["args"] == right, "the test asks somebody else")
        keys = {item["key"] for volume in spec.get("volumes", []) for item in volume["secret"].get("items", [{"key": "all"}])}
        want(keys <= {"ca.crt"}, "the test is given more than the authority")
for policy in of("NetworkPolicy"):
    want(any(covers(policy["spec"]["podSelector"]["matchLabels"], each) for each in labels), "the policy selects nothing")
    want(sorted(policy["spec"]["policyTypes"]) == ["Egress", "Ingress"], "the policy leaves a direction open")
    for direction, key in (("ingress", "from"), ("egress", "to")):
        for rule in policy["spec"][direction]:
            want(rule.get(key) and rule.get("ports"), f"an {direction} rule that lets everything through")

for kind, field, selected in (
    ("PodMonitor", "podMetricsEndpoints", labels),
    ("ServiceMonitor", "endpoints", [each["metadata"]["labels"] for each in of("Service")]),
):
    for monitor in of(kind):
        spec = monitor["spec"]
        want(monitor["apiVersion"] == "monitoring.coreos.com/v1" and only(spec, ["selector", field]), f"{kind}: shape")
        want(only(spec["selector"], ["matchLabels"]), f"{kind}: selector")
        # Rendered alone, there is nothing to select.
        want(not selected or any(covers(spec["selector"]["matchLabels"], each) for each in selected), f"{kind} selects nothing")
        want(spec[field], f"{kind}: no endpoint")
        for endpoint in spec[field]:
            want(only(endpoint, ["port", "path", "interval"], ["scheme", "tlsConfig"]), f"{kind}: endpoint")
            want(not schemes or {endpoint.get("scheme", "http")} == schemes, f"{kind} scrapes by another scheme")
            want(not ports or endpoint["port"] in ports, f"{kind} scrapes a port that is none")
            want(endpoint["path"] == "/metrics" and DURATION.fullmatch(endpoint["interval"]), f"{kind}: path or interval")
for rules in of("PrometheusRule"):
    want(rules["apiVersion"] == "monitoring.coreos.com/v1" and only(rules["spec"], ["groups"]), "PrometheusRule: shape")
    for group in rules["spec"]["groups"]:
        want(only(group, ["name", "rules"], ["interval", "limit", "labels", "query_offset"]), f"PrometheusRule: group {group.get('name')}")
        for rule in group["rules"]:
            kind = "alert" if "alert" in rule else "record"
            more = ["labels", "for", "keep_firing_for", "annotations"] if kind == "alert" else ["labels"]
            want(only(rule, [kind, "expr"], more), f"PrometheusRule: rule {rule.get(kind)}")
            want(isinstance(rule["expr"], (str, int)), f"PrometheusRule: expression of {rule.get(kind)}")
            for key in ("labels", "annotations"):
                want(all(isinstance(value, str) for value in rule.get(key, {}).values()), f"PrometheusRule: {key} of {rule.get(kind)}")
for config in of("ConfigMap"):
    for name, text in config["data"].items():
        if name.endswith(".json"):
            want(isinstance(json.loads(text).get("panels"), list), f"{name} is no dashboard")

missing = set(sys.argv[1:]) - {each["kind"] for each in objects}
want(not missing, f"not rendered: {sorted(missing)}")
if wrong:
    sys.exit("; ".join(wrong))
