"""``python app``: the MONAI Deploy application. Research use only, not a medical device."""

from pathlib import Path

from mmccd.apps.map.run import main

if __name__ == "__main__":
    main(config=Path(__file__).with_name("app.yaml"))
