#!/bin/sh
# Puts the crates of Cargo.lock, which cargo has downloaded, into the Nix store at $1, under the names that nix/host/vendor.nix asks for.
# Run in the source tree. A crate that is not what the lock file says gets another store path, and the build does not find it.
set -eu
store=$1
cargo fetch --locked --quiet
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Name, version and checksum of a package follow each other; a package without a checksum is one of ours.
awk -F '"' '/^name/ { name = $2 } /^version/ { version = $2 } /^checksum/ { print name "-" version }' Cargo.lock |
    while read -r crate; do
        for download in "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"$crate.crate"; do
            ln -sf "$download" "$folder/crate-$crate.tar.gz"
        done
    done
# nix-store follows no links.
mkdir "$folder/files"
for link in "$folder"/*.tar.gz; do
    cp "$link" "$folder/files"
done
nix-store --store "$store" --add-fixed sha256 "$folder"/files/*.tar.gz > /dev/null
