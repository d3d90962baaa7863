//! overlayfs (in the hands of the `overlay` worktree right now; vfs owner: leave it to them and go on with mounts and block files).
