"""stub"""
class TrackingHooks:
    pass
def last_run():
    return None
