from .cases import (
    SPLITS as SPLITS,
    Case as Case,
    add_to_datalist as add_to_datalist,
    find_cases as find_cases,
    read_case as read_case,
    refuse_test_patients as refuse_test_patients,
    split_cases as split_cases,
    write_datalist as write_datalist,
)
from .slices import (
    CaseSlices as CaseSlices,
    SlicePairDataset as SlicePairDataset,
    SliceRule as SliceRule,
    find_case_brain as find_case_brain,
    load_case as load_case,
    read_lesion as read_lesion,
)
from .transforms import augmentation as augmentation
