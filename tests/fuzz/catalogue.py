"""All targets, by name."""

from fuzz import engine_targets, protocol_targets, server_targets, wire_targets

TARGETS = {
    target.name: target
    for module in (protocol_targets, engine_targets, server_targets, wire_targets)
    for target in module.TARGETS
}
