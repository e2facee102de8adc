"""Readers: from files of any format to documents, in units that can be read alone."""

from premask.stages.read._reader import Reader as Reader
from premask.stages.read._reader import SourceFile as SourceFile
from premask.stages.read.files import resolve as resolve
from premask.stages.read.formats import FORMATS as FORMATS
from premask.stages.read.formats import plan_source as plan_source
from premask.stages.read.formats import read_unit as read_unit

__all__ = ["FORMATS", "Reader", "SourceFile", "plan_source", "read_unit", "resolve"]
