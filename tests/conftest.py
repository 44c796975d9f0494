"""What every test shares: a generated example may take as long as a slow machine needs."""

import hypothesis

hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")
