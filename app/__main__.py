"""``python app``: the MONAI Deploy application. Research use only, not a medical device."""

import sys
from pathlib import Path

if __name__ == "__main__":
    try:
        from mmccd.apps.map.run import main
    except MemoryError:
        sys.stderr.write("out of memory while the application was loaded; give it more\n")
        sys.exit(7)
    main(config=Path(__file__).with_name("app.yaml"))
