from tests.conftest import _mmpretrain_scope, labelled_folder  # noqa: F401
