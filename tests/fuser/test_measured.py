from sestina.fuser import measured


def test_what_is_measured_is_measured_once(monkeypatch):
    calls = []

    def measure():
        calls.append(1)
        return [True, 0.5]

    assert measured.once("a test", measure) == [True, 0.5]
    monkeypatch.setattr(measured, "_in_memory", {})  # as in another process
    assert measured.once("a test", measure) == [True, 0.5]
    assert calls == [1]
