"""Readers: from files of any format to documents, in units that can be read alone."""

from premask.stages.read._reader import Reader as Reader
from premask.stages.read._reader import SourceFile as SourceFile
from premask.stages.read.files import resolve as resolve
from premask.stages.read.formats import FORMATS as FORMATS
from premask.stages.read.formats import plan_source as plan_source
from premask.stages.read.formats import read_slice as read_slice
from premask.stages.read.group import group as group
from premask.stages.read.group import read_unit as read_unit
from premask.stages.read.group import tells_size as tells_size

__all__ = [
    "FORMATS",
    "Reader",
    "SourceFile",
    "group",
    "plan_source",
    "read_slice",
    "read_unit",
    "resolve",
    "tells_size",
]
