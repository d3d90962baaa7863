//! Containers as the OCI runtime specification describes them.
