#!/bin/sh
# Commands of the MAP specification; anything else goes to the application, which takes this process's place: its exit code and its signals are its own.
set -eu
export_root=/var/run/holoscan/export
case "${1:-}" in
help | env)
    exec /opt/mmccd/bin/python /opt/holoscan/commands.py "$@"
    ;;
show)
    case "${2:-}" in
    app | pkg) cat "/etc/holoscan/$2.json" ;;
    "") cat /etc/holoscan/app.json /etc/holoscan/pkg.json ;;
    *)
        echo "show: $2 is unknown; expected app or pkg, or nothing for both" >&2
        exit 2
        ;;
    esac
    ;;
extract)
    found=no
    for part in app config models docs; do
        if [ -d "$export_root/$part" ]; then wanted="$part"; elif [ -w "$export_root" ]; then wanted="$part"; mkdir "$export_root/$part"; else continue; fi
        found=yes
        if [ "$wanted" = config ]; then
            cp /etc/holoscan/app.json /etc/holoscan/pkg.json /opt/holoscan/app/app.yaml "$export_root/config/"
        else
            cp -R "/opt/holoscan/$wanted/." "$export_root/$wanted/"
        fi
    done
    if [ "$found" = no ]; then
        echo "extract: $export_root is not writable; mount a folder there, or at $export_root/app, config, models or docs" >&2
        exit 5
    fi
    ;;
*)
    exec /opt/mmccd/bin/python /opt/holoscan/app "$@"
    ;;
esac
