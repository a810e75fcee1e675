"""The level `restricted` of Kubernetes' Pod Security Standards, for the pods of a manifest.

Source: kubernetes.io/docs/concepts/security/pod-security-standards, as of Kubernetes 1.34.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_HOST = ("hostNetwork", "hostPID", "hostIPC")


def violations(pod: Mapping[str, Any]) -> list[str]:
    """What the level forbids of this pod spec; a container's own security context stands before the pod's."""
    of_pod: Mapping[str, Any] = pod.get("securityContext", {})
    found = [f"{key} is set" for key in _HOST if pod.get(key)]
    found += [f"volume {volume['name']}" for volume in pod.get("volumes", []) if not _VOLUMES & volume.keys()]
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        found += [f"{container['name']}: {what}" for what in _of_container(container, of_pod)]
    return found


def _of_container(container: Mapping[str, Any], of_pod: Mapping[str, Any]) -> Iterator[str]:
    own: Mapping[str, Any] = container.get("securityContext", {})
    both = {**of_pod, **own}
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "may run as root"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "keeps capabilities"
    if own.get("privileged"):
        yield "is privileged"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "takes a port of its host"
