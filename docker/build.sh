#!/bin/sh
# Build the image: docker/build.sh cpu|cuda [TAG]. With docker where its daemon answers, else with buildah, which needs none.
#   BASE    another base image (default: the Dockerfile's; a Debian 12 does, too)
#   WHEELS  a folder with wheels that are preferred to the registry's
#   PYTHON  a Python with pip, setuptools and PyYAML
set -eu
cd "$(dirname "$0")/.."
target="$1"
version=$(sed -n 's/^version *= *//p' setup.cfg)
tag="${2:-mmccd:$version-$target}"
"${PYTHON:-python3}" docker/prepare.py ${WHEELS:+--wheels "$WHEELS"}
set -- --target "$target" --tag "$tag" --file docker/Dockerfile --build-arg "VERSION=$version" ${BASE:+--build-arg "BASE=$BASE"} build/image
if docker info >/dev/null 2>&1; then
    DOCKER_BUILDKIT=1 docker build "$@"
elif command -v buildah >/dev/null; then
    STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" buildah bud --isolation chroot --format docker --layers=false "$@"
else
    echo "make image: neither a docker daemon nor buildah is here; install one of them" >&2
    exit 2
fi
echo "$tag"
