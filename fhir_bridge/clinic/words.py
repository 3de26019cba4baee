"""The words that are the clinic's own: states, reasons, places. Drugs, fluids, conditions and reactions are words of the code tables."""

SESSION_STATES = (
    "scheduled", "arrived", "checked-in", "attended", "in-progress", "paused", "completed", "stopped", "not-started", "cancelled",
    "no-show", "entered-in-error",
)  # fmt: skip
REASONS = (
    "adverse-reaction", "patient-refused", "clinical-decision", "no-iv-access", "vitals-out-of-range", "contraindication",
    "patient-cancelled", "clinic-cancelled", "other",
)  # fmt: skip
CARE_SETTINGS = ("clinic", "home", "hotel", "hospital", "telehealth")
SEXES = ("female", "male", "other", "unknown")
READING_STATES = ("recorded", "corrected", "entered-in-error")
PHASES = ("before", "during", "after")
DRUG_STATES = ("completed", "stopped", "in-progress", "on-hold", "not-given", "entered-in-error")
ROUTES = ("intravenous", "intramuscular", "subcutaneous", "oral", "nasal")
SITES = ("left-forearm", "right-forearm", "left-hand", "right-hand", "left-upper-arm", "right-upper-arm")
RESPONSES = ("none", "partial", "good")
SEVERITIES = ("mild", "moderate", "severe")
SERIOUSNESS = ("non-serious", "serious", "life-threatening", "hospitalisation")
OUTCOMES = ("resolved", "recovering", "ongoing", "unknown")
ACTIONS = ("none", "rate-reduced", "paused", "stopped", "rescue-drug", "emergency-services")
ALLERGY_KINDS = ("allergy", "intolerance")
CERTAINTIES = ("unconfirmed", "confirmed", "entered-in-error")
CRITICALITIES = ("low", "high")
RELATIONSHIPS = ("spouse", "partner", "parent", "child", "sibling", "friend", "neighbour", "other")
APPOINTMENT_STATES = (
    "proposed", "pending", "booked", "arrived", "checked-in", "fulfilled", "cancelled", "no-show", "waitlisted", "entered-in-error",
)  # fmt: skip
CANCELLED_BY = ("patient", "clinic", "other")
REFERRAL_STATES = (
    "submitted", "received", "accepted", "declined", "scheduled", "in-treatment", "session-done", "session-missed", "session-cancelled",
    "cancel-requested", "on-hold", "completed", "cancelled", "failed", "entered-in-error",
)  # fmt: skip
URGENCIES = ("routine", "urgent", "asap", "stat")
SERIES_STATES = ("planned", "active", "finished", "cancelled", "on-hold")
