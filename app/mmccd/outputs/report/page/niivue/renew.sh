#!/usr/bin/env bash
# Fetch a version of NiiVue from npm: the minified script, and the licences of the packages that are built into it.
#   sh renew.sh 0.69.0
# Needs npm and a network. LICENSE is NiiVue's own; its npm package has none, so compare it with the repository's.
set -eu
version="$1"
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >/dev/null
npm install --ignore-scripts --omit=optional --no-audit --no-fund "@niivue/niivue@$version"
gzip -9 -n -c node_modules/@niivue/niivue/dist/niivue.umd.js >"$here/niivue.umd.js.gz"
echo "$version" >"$here/VERSION"
: >"$here/THIRD_PARTY_LICENSES.txt"
# Whatever npm installed for it may be part of the built script.
find node_modules -name package.json -not -path "*/@niivue/niivue/*" | LC_ALL=C sort | while read -r package; do
    folder="$(dirname "$package")"
    name="$(node -p "const p = require('./$package'); (p.name && p.version) ? p.name + ' ' + p.version + ' (' + p.license + ')' : ''")"
    [ -n "$name" ] || continue
    licence="$(find "$folder" -maxdepth 1 -iname 'licen[cs]e*' | head -n 1)"
    printf '%s\n\n' "$name"
    [ -z "$licence" ] || cat "$licence"
    printf '\n\n----\n\n'
done >>"$here/THIRD_PARTY_LICENSES.txt"
