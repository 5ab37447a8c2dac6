from .acquisition import (
    DEMO_SCAN as DEMO_SCAN,
    PLAIN as PLAIN,
    SLICE_MM as SLICE_MM,
    Acquisition as Acquisition,
    random_acquisition as random_acquisition,
)
from .anatomy import (
    BUILT_IN as BUILT_IN,
    LABELS as LABELS,
    Anatomy as Anatomy,
    brain_envelope as brain_envelope,
    canonical_labels as canonical_labels,
    find_anatomies as find_anatomies,
    load_anatomy as load_anatomy,
)
from .label_slices import (
    CLASSES as CLASSES,
    EDGE as EDGE,
    cut_label_slices as cut_label_slices,
)
from .lesions import (
    DEMO_LESIONS as DEMO_LESIONS,
    DEMO_SEED as DEMO_SEED,
    KINDS as KINDS,
    Lesion as Lesion,
)
from .names import HEALTHY as HEALTHY, LESIONS as LESIONS, MIXED as MIXED
from .physics import (
    CAVITY as CAVITY,
    GLIOSIS as GLIOSIS,
    OEDEMA as OEDEMA,
    TISSUES as TISSUES,
    Tissue as Tissue,
    signal as signal,
)
from .scan_images import picture_scan_slices as picture_scan_slices
from .scan_slices import cut_scan_slices as cut_scan_slices, find_scans as find_scans
from .slice_images import (
    ContrastPool as ContrastPool,
    SliceImages as SliceImages,
    picture_slices as picture_slices,
)
from .subject import Phantom as Phantom, make_phantom as make_phantom
from .write import (
    anatomy_splits as anatomy_splits,
    write_phantom as write_phantom,
    write_phantoms as write_phantoms,
)
