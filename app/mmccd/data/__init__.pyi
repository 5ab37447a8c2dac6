from .cases import (
    SPLITS as SPLITS,
    add_to_datalist as add_to_datalist,
    find_cases as find_cases,
    refuse_test_patients as refuse_test_patients,
    say_grouping as say_grouping,
    split_cases as split_cases,
    write_datalist as write_datalist,
)
from .labels import (
    read_lesion as read_lesion,
    say_doubtful_labels as say_doubtful_labels,
)
from .layouts import (
    OTHER_FOLDERS as OTHER_FOLDERS,
    Case as Case,
    bids_cases as bids_cases,
    cases_in as cases_in,
    files_with_images as files_with_images,
    is_mask_name as is_mask_name,
    is_one_of_bids as is_one_of_bids,
    read_case as read_case,
)
from .patients import patient_of as patient_of, visit_of as visit_of
from .slices import (
    CaseSlices as CaseSlices,
    SlicePairDataset as SlicePairDataset,
    SliceRule as SliceRule,
    find_case_brain as find_case_brain,
    load_case as load_case,
)
from .transforms import augmentation as augmentation
