#!/bin/sh
# Remake the document folder from Debian packages.   Usage: sh fetch.sh TARGET-FOLDER
# Needs apt, dpkg-deb and a package list (apt-get update), but no root.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 TARGET-FOLDER" >&2; exit 2; }
list=$(cd "$(dirname "$0")" && pwd)/documents.tsv    # names and sums, beside this script
mkdir -p "$1"
target=$(cd "$1" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cd "$tmp"

# download the packages named in the list and unpack each into a folder of its own
packages=$(tail -n +2 "$list" | cut -f 3 | sort -u)
apt-get download $packages
for deb in *.deb; do dpkg-deb -x "$deb" "${deb%%_*}"; done

# pick each listed document out of its package (links and howto/ etc. have other paths)
tab=$(printf '\t')
tail -n +2 "$list" | while IFS=$tab read -r name sum package version pages; do
    file=$(find "$package" -type f \( -name "$name" -o -name "$name.gz" \) \
           ! -path '*/howto/*' ! -path '*/technical/*' ! -path '*/RelNotes/*' | head -n 1)
    case $file in
        '')   echo "missing: $name (package $package)" >&2; continue ;;
        *.gz) gzip -dc "$file" > "$target/$name" ;;
        *)    cp "$file" "$target/$name" ;;
    esac
    # another version of the package gives another sum: say so, but go on
    case $(sha256sum < "$target/$name") in
        "$sum "*) ;;
        *) echo "differs: $name (listed: $package $version)" ;;
    esac
done
echo "documents in $target: $(ls "$target" | wc -l)"
