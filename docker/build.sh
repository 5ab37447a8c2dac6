#!/bin/sh
# Build the image: docker/build.sh cpu|cuda [TAG]. With docker where its daemon answers, else with buildah, which needs none.
#   BASE               another base image (default: the Dockerfile's, by its digest; a Debian 12 does, too)
#   WHEELS             a folder with wheels that are preferred to the registry's, such as torch's CPU build; the lock's hashes hold
#   PIP_INDEX_URL      another index in the place of PyPI; TORCH_INDEX_URL: in the place of PyTorch's CPU index
#   CA_FILE            certificates (PEM) that registries are signed by; used while building, not in the image
#   SOURCE_DATE_EPOCH  the time of everything in the image (default: of the last commit)
#   SOURCE_URL         address of the sources, for the label (default: the remote 'origin', where that is a web address)
#   PYTHON             a Python with pip, setuptools and PyYAML
#   CI                 true: a base without a digest is refused
set -eu
cd "$(dirname "$0")/.."
target="$1"
version=$(sed -n 's/^version *= *//p' setup.cfg)
tag="${2:-mmccd:$version-$target}"
base="${BASE:-$(sed -n 's/^ARG BASE=//p' docker/Dockerfile)}"
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}"

if docker info >/dev/null 2>&1; then
    engine=docker
elif command -v buildah >/dev/null; then
    engine=buildah
else
    echo "make image: neither a docker daemon nor buildah is here; install one of them" >&2
    exit 2
fi

# The base is named by its digest; that of a local image is looked up, and is no name that others can pull.
case "$base" in
*@sha256:*) digest="${base##*@}" ;;
*)
    if [ "${CI:-}" = true ]; then
        echo "make image: BASE is $base; expected a digest behind it (NAME@sha256:...): docs/deployment.md, 'The base'" >&2
        exit 2
    fi
    case "$engine" in
    docker) digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "$base" 2>/dev/null || true) ;;
    buildah) digest=$(buildah images --format '{{.Digest}}' "$base" 2>/dev/null | head -n 1) ;;
    esac
    digest="${digest##*@}"
    ;;
esac

revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || revision="$revision-dirty"
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}"
SOURCE_URL="${SOURCE_URL:-$(git remote get-url origin 2>/dev/null | grep '^https://[^@]*$' || true)}"
export SOURCE_DATE_EPOCH SOURCE_URL

"${PYTHON:-python3}" docker/prepare.py --target "$target" --tag "$tag" --base "$base" --digest "${digest:-unknown}" --revision "$revision" ${WHEELS:+--wheels "$WHEELS"}
set -- --target "$target" --tag "$tag" --file docker/Dockerfile --build-arg "BASE=$base"
while IFS= read -r label; do
    set -- "$@" --label "$label"
done <build/image/labels.txt
if [ "$engine" = docker ]; then
    DOCKER_BUILDKIT=1 docker build --build-arg SOURCE_DATE_EPOCH "$@" build/image
else
    buildah bud --isolation chroot --format docker --layers=false --timestamp "$SOURCE_DATE_EPOCH" "$@" build/image
fi
echo "$tag"
