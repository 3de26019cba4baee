"""The readable summary of a session, as plain text and as one page: what a hospital can take that takes nothing else."""

from fhir_bridge.clinic.summary.attached import with_summary
from fhir_bridge.clinic.summary.text import summary_text

__all__ = ["summary_text", "with_summary"]
