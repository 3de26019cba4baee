"""The standard: R4 checks, elements, bundles, times, OperationOutcome. Knows no clinic record and no hospital."""
