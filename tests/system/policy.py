"""Reads and writes SROS2 policies, and measures what a running node opens."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rclpy.node import Node

INCLUDE = "{http://www.w3.org/2001/XInclude}include"
POINTER = "xpointer(/profile/*)"
RULES = {
    "topics": ("topic", ("subscribe", "publish")),
    "services": ("service", ("reply", "request")),
}
HELPERS = ("inbox", "taps", "taps_apart", "remote")  # nodes of the same process, named after it
# Names that do not follow the namespace of a node.
GLOBAL = {"/clock", "/diagnostics", "/parameter_events", "/rosout", "/tf", "/tf_static"}


@dataclass
class Rules:
    """Fully resolved names that one node (and its helpers in the same process) may use."""

    subscribe: set[str] = field(default_factory=set)
    publish: set[str] = field(default_factory=set)
    reply: set[str] = field(default_factory=set)
    request: set[str] = field(default_factory=set)

    def minus(self, other: Rules) -> dict[str, list[str]]:
        """What is here and not there, by kind; empty if nothing."""
        pairs = {kind: sorted(names - vars(other)[kind]) for kind, names in vars(self).items()}
        return {kind: names for kind, names in pairs.items() if names}


def read_policy(path: Path) -> dict[str, Rules]:
    """Enclave path -> rules, with `~` and relative names resolved and includes followed.

    Raises:
        ValueError: something that policies of version 0.2.0 do not have.
    """
    root = ElementTree.parse(path).getroot()
    if root.tag != "policy" or root.attrib != {"version": "0.2.0"}:
        raise ValueError(f"{path}: not a policy of version 0.2.0")
    rules: dict[str, Rules] = {}
    for enclave in root.findall("enclaves/enclave"):
        found = rules[enclave.attrib["path"]] = Rules()
        for profile in enclave.findall("profiles/profile"):
            for block in _blocks(profile, path):
                _add(found, block, profile.attrib["ns"], profile.attrib["node"])
    if len(rules) != len(list(root.iter("enclave"))):
        raise ValueError(f"{path}: an enclave is given twice, or at a wrong place")
    return rules


def _blocks(profile: ElementTree.Element, path: Path) -> Iterable[ElementTree.Element]:
    for element in profile:
        if element.tag == INCLUDE:
            if element.attrib.get("xpointer") != POINTER:
                raise ValueError(f"{path}: an include without {POINTER}")
            included = path.parent / element.attrib["href"]
            yield from _blocks(ElementTree.parse(included).getroot(), included)
        else:
            yield element


def _add(rules: Rules, block: ElementTree.Element, namespace: str, node: str) -> None:
    entry, kinds = RULES[block.tag]
    if not block.attrib or set(block.attrib) - set(kinds) or not len(block):
        raise ValueError(f"{block.tag} with {block.attrib} and {len(block)} entries")
    for element in block:
        if element.tag != entry or element.attrib or not element.text:
            raise ValueError(f"{element.tag} in {block.tag}")
        name, prefix = element.text, namespace.rstrip("/")
        if name.startswith("~"):
            name = f"{prefix}/{node}{name[1:]}"
        elif not name.startswith("/"):
            name = f"{prefix}/{name}"
        for kind, verdict in block.attrib.items():
            if verdict != "ALLOW":
                raise ValueError(f"{name}: {verdict}; what is not allowed is denied anyway")
            getattr(rules, kind).add(name)


def common_rules(path: Path, node: str) -> Rules:
    """What a policy's `common/node.xml` allows to a node."""
    rules = Rules()
    for block in ElementTree.parse(path.parent / "common" / "node.xml").getroot():
        _add(rules, block, "/", node)
    return rules


def write_policy(path: Path, enclaves: dict[str, Rules]) -> None:
    """Write a policy with one enclave a node; what all have in common comes by an include.

    Args:
        path: policy.xml, beside its folder `common`.
        enclaves: node name -> what it opens.
    """
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- What each node may open; all else is denied. Read a change before you sign it.",
        "     Written by `BRS_WRITE_POLICY=1 pytest tests/system/test_policy.py`. -->",
        '<policy version="0.2.0" xmlns:xi="http://www.w3.org/2001/XInclude">',
        "  <enclaves>",
    ]
    for node, rules in sorted(enclaves.items()):
        common = common_rules(path, node)
        lines += [
            f'    <enclave path="/brs/{node}">',
            "      <profiles>",
            f'        <profile ns="/" node="{node}">',
            f'          <xi:include href="common/node.xml" xpointer="{POINTER}"/>',
        ]
        for tag, (entry, kinds) in RULES.items():
            for kind in kinds:
                names = sorted(vars(rules)[kind] - vars(common)[kind])
                if names:
                    shown = [name if name in GLOBAL else name[1:] for name in names]
                    lines.append(f'          <{tag} {kind}="ALLOW">')
                    lines += [f"            <{entry}>{name}</{entry}>" for name in shown]
                    lines.append(f"          </{tag}>")
        lines += ["        </profile>", "      </profiles>", "    </enclave>"]
    path.write_text("\n".join([*lines, "  </enclaves>", "</policy>", ""]))


def opened_by(observer: Node, process: str) -> Rules:
    """What a node and its helpers (`<node>_inbox`, ...) have open now, from the graph.

    Nodes of that name in several namespaces count together, as if they were all in none.
    """
    rules = Rules()
    for name, namespace in observer.get_node_names_and_namespaces():
        if name not in (process, *(f"{process}_{helper}" for helper in HELPERS)):
            continue
        for kind, query in (
            (rules.subscribe, observer.get_subscriber_names_and_types_by_node),
            (rules.publish, observer.get_publisher_names_and_types_by_node),
            (rules.reply, observer.get_service_names_and_types_by_node),
            (rules.request, observer.get_client_names_and_types_by_node),
        ):
            prefix = namespace.rstrip("/")
            kind |= {topic.removeprefix(prefix) for topic, _ in query(name, namespace)}
    return rules
