"""``python -m mmccd.deploy.pacs``."""

from mmccd.deploy.pacs.run import main

if __name__ == "__main__":
    main()
