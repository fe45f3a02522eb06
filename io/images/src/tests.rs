//! Images end to end: names, archives, mounts, a registry.
