"""What is asked for, and what is sent in which form: the services, SOP classes and transfer
syntaxes that we speak.
"""

from __future__ import annotations

from pydicom.uid import (
    JPEG2000,
    UID,
    Comprehensive3DSRStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

ECHO = UID("1.2.840.10008.1.1")
FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
"""Query and retrieve, study root."""
MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
COMMIT = UID("1.2.840.10008.1.20.1")
"""Storage commitment, push model."""
COMMIT_INSTANCE = UID("1.2.840.10008.1.20.1.1")

IMAGES = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
"""What a study is made of."""
OWN = (SegmentationStorage, Comprehensive3DSRStorage, SecondaryCaptureImageStorage)
"""What we make; of others they are not taken."""
TAKEN = (*IMAGES, *OWN)
"""Images, and results of ours that new ones supersede."""
UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
SYNTAXES = (
    *UNCOMPRESSED,
    ExplicitVRBigEndian,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    RLELossless,
    JPEGLSNearLossless,
    JPEG2000,
    JPEGExtended12Bit,
    JPEGBaseline8Bit,
)
"""What can be read (docs/dicom.md), the best first; not the deflated one, which hides how much
there is until it is unpacked.
"""
