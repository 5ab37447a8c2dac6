#!/bin/sh
# Runs inside the image's build, with the build context at /build: Python, the project's wheel with its extra, nothing that is not pinned.
set -eu
if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    apt-get update
    apt-get install --yes --no-install-recommends python3 python3-venv ca-certificates
    rm -rf /var/lib/apt/lists/*
fi
python3 -m venv /opt/mmccd
index=""
if [ "$1" = cpu ] && ! ls /build/wheels/torch-*cpu*.whl >/dev/null 2>&1; then
    index="--extra-index-url https://download.pytorch.org/whl/cpu"
fi
wheel=$(ls /build/mmccd-*.whl)
# shellcheck disable=SC2086
/opt/mmccd/bin/python -m pip install --no-cache-dir --disable-pip-version-check --find-links /build/wheels $index -c /build/constraints.txt "${wheel}[deploy]"
mkdir -p /opt/holoscan /etc/holoscan /var/holoscan/input /var/holoscan/output /var/run/holoscan/export
cp -R /build/holoscan/. /opt/holoscan/
cp /build/manifests/*.json /etc/holoscan/
cp /build/entrypoint.sh /opt/holoscan/entrypoint.sh
chmod -R a+rX /opt/holoscan /etc/holoscan
chmod 0755 /opt/holoscan/entrypoint.sh
chmod 0777 /var/holoscan/output /var/run/holoscan/export
# A package that cannot be loaded must not become an image.
HOME=/tmp MPLCONFIGDIR=/tmp/check /opt/mmccd/bin/python -c 'from mmccd.apps.map.runtime import load_cuda_runtime; load_cuda_runtime(); import mmccd.apps.map.operators, mmccd.pipeline'
rm -rf /opt/mmccd/lib/python3.11/site-packages/pip /tmp/check
