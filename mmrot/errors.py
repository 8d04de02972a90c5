class UserError(ValueError):
    """An error caused by what the user passed in: a file, an option, a config.

    The command line prints it in one line, without a traceback.
    """
