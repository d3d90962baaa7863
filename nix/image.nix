# The derivations: each runs the repository's own recipe (`cargo xtask image`) with the tools that it is given, and nothing else.
#
# tools = {
#   system;
#   shell;        a POSIX shell, absolute
#   path;         packages with what a shell script needs (cp, mkdir, cat), for PATH
#   rust;         the official toolchain that rust-toolchain.toml names
#   cc;           links for the host: build scripts, procedural macros, xtask. The image needs no C compiler
#   compiler;     packages with a C compiler, for the host CLI alone
#   vendor;       the path of a lock file -> a folder with all crates in it, called NAME-VERSION
# }
{
  tools,
  src,
  revision,
}:
let
  # What the build reads. Prose and Nix files are left out, so that a change of theirs rebuilds nothing.
  source =
    let
      prefix = toString src + "/";
      length = builtins.stringLength prefix;
      ignored = [
        "target"
        "nix"
        "docs"
        "default.nix"
        "flake.nix"
        "flake.lock"
        ".git"
        "result"
      ];
    in
    builtins.path {
      name = "coffer-source";
      path = src;
      filter =
        path: _type:
        let
          relative = builtins.substring length (builtins.stringLength path) path;
        in
        !(builtins.elem relative ignored) && builtins.match ".*\\.md" relative == null;
    };

  vendored = tools.vendor (src + "/Cargo.lock");

  bin = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);

  run =
    name: packages: script:
    derivation {
      inherit name;
      inherit (tools) system;
      builder = tools.shell;
      args = [
        "-euc"
        script
      ];
      PATH = bin (tools.path ++ packages);
    };

  # Cargo's home is empty but for the word where crates are; the source is where Nix put it, and cannot be written to.
  cargo =
    name: packages: script:
    run name ([ tools.rust ] ++ packages) ''
      export HOME=$TMPDIR/home CARGO_HOME=$TMPDIR/cargo CARGO_TARGET_DIR=$TMPDIR/target
      export CARGO_NET_OFFLINE=true COFFER_REVISION=${revision}
      [ "''${NIX_BUILD_CORES:-0}" = 0 ] || export CARGO_BUILD_JOBS=$NIX_BUILD_CORES
      mkdir -p "$HOME" "$CARGO_HOME" "$out"
      cat > "$CARGO_HOME/config.toml" <<END
      [source.crates-io]
      replace-with = "vendored"
      [source.vendored]
      directory = "${vendored}"
      END
      cd ${source}
      ${script}
    '';
in
rec {
  # Every output of `cargo xtask image`, which this is, but for what xtask would need a C compiler for.
  image = cargo "coffer-image" [ tools.cc ] ''
    cargo run --locked --package xtask --no-default-features -- image
    cd "$CARGO_TARGET_DIR"
    cp coffer.efi coffer.raw coffer.qcow2 coffer.vhd coffer-gcp.tar.gz manifest.json "$out"
  '';

  # The unified kernel image alone.
  uki = run "coffer-uki" [ ] ''
    mkdir -p "$out"
    cp ${image}/coffer.efi "$out"
  '';

  # The host CLI.
  coffer = cargo "coffer" tools.compiler ''
    cargo build --locked --release --package coffer
    mkdir -p "$out/bin"
    cp "$CARGO_TARGET_DIR/release/coffer" "$out/bin"
    "$out/bin/coffer" --version
  '';
}
