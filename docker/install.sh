#!/bin/sh
# Runs inside the image's build, with the build context at /build: Python, what docker/locks names, the project's wheel, and the lists
# of what is inside. pip takes nothing whose hash is not in the lock.
set -eu
export PIP_CONFIG_FILE=/build/pip.conf PYTHONDONTWRITEBYTECODE=1
python=/opt/mmccd/bin/python
site=/opt/mmccd/lib/python3.11/site-packages
if python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    debian_python=no
else
    debian_python=yes
    [ ! -f /build/ca.pem ] || echo 'Acquire::https::CaInfo "/build/ca.pem";' >/etc/apt/apt.conf.d/99build
    apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends python3 python3-venv >/dev/null
fi

base=$(command -v python3)   # once /opt/mmccd is there, python3 is that one

# The tools are gone at the end: this pip fills the other environment.
"$base" -m venv /tmp/tools
/tmp/tools/bin/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: -r /build/locks/tools.txt
pip() { command="$1" && shift && /tmp/tools/bin/python -m pip --python "$python" "$command" "$@"; }
"$base" -m venv --without-pip /opt/mmccd
pip install --quiet --no-compile --no-deps --require-hashes --only-binary :all: -r "/build/locks/$1.txt"
pip install --quiet --no-compile --no-deps --no-index /build/mmccd-*.whl
pip check

mkdir -p /opt/holoscan /etc/holoscan /var/holoscan/input /var/holoscan/output /var/run/holoscan/export
cp -R /build/holoscan/. /opt/holoscan/
cp /build/manifests/*.json /etc/holoscan/
cp /build/entrypoint.sh /build/commands.py /opt/holoscan/

# A package that cannot be loaded must not become an image. The first start of this Python also unfolds Holoscan's wheel, with pip.
check='from mmccd.apps.map.runtime import load_cuda_runtime; load_cuda_runtime(); import mmccd.apps.map.operators, mmccd.apps.pacs, mmccd.pipeline'
HOME=/tmp MPLCONFIGDIR=/tmp/check "$python" -c "$check"

# What no run needs: installers, headers and programs of torch for those who build on it, tests of packages, static libraries, and
# most of ITK.
pip uninstall --quiet --yes pip
rm -rf "$site/torch/include" "$site/torch/test" "$site/torch/share"
find "$site/torch/bin" -type f ! -name torch_shm_manager -delete
for package in pandas nibabel nilearn scipy sklearn networkx sympy cupyx matplotlib; do
    find "$site/$package" -type d -name tests -prune -exec rm -rf {} +
done
find "$site" -name '*.a' -delete
HOME=/tmp MPLCONFIGDIR=/tmp/check "$python" /build/inventory/trim.py "$site"
if [ "$debian_python" = yes ]; then
    DEBIAN_FRONTEND=noninteractive apt-get purge --quiet=2 --yes --auto-remove python3-venv python3.11-venv >/dev/null
    rm -f /etc/apt/apt.conf.d/99build
else
    "$base" -m pip uninstall --quiet --yes setuptools wheel pip || true
    rm -rf "$("$base" -c 'import ensurepip; print(ensurepip.__path__[0])')/_bundled"
fi
HOME=/tmp MPLCONFIGDIR=/tmp/check "$python" -c "$check"

# Compiled code is valid whatever the files' times: they are set to the release's, and the root file system is read-only.
find "$site" /opt/holoscan -name __pycache__ -prune -exec rm -rf {} +
"$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site" /opt/holoscan/app /opt/holoscan/commands.py >/dev/null || true

/tmp/tools/bin/python /build/inventory/sbom.py --site "$site" --models /opt/holoscan/models --image /build/image.json --lock "/build/locks/$1.txt" --output /opt/holoscan/docs/sbom.cdx.json
/tmp/tools/bin/python /build/inventory/licences.py --site "$site" --models /opt/holoscan/models --output /opt/holoscan/docs/third_party_licences.txt

chmod -R a+rX /opt/holoscan /etc/holoscan /opt/mmccd
chmod 0755 /opt/holoscan/entrypoint.sh
chmod 0777 /var/holoscan/output /var/run/holoscan/export
rm -rf /tmp/tools /tmp/check /tmp/* /root/.cache /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/cache/debconf/*-old
