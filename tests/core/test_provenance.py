"""Line of figures and tables that names the study."""

from footprint import __version__
from footprint.core.provenance import describe_study


def test_describe_study_names_site_window_source_and_version() -> None:
    study = {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28"}
    window = "2025-03-03 to 2025-04-28"
    assert (
        describe_study({"study": study, "source": {"kind": "simulated"}})
        == f"simulated site nancy · {window} · footprint {__version__}"
    )
    assert (
        describe_study({"study": study, "source": {"kind": "exports"}})
        == f"nancy · {window} · exports · footprint {__version__}"
    )
