"""Hosts that a task chooses by its config, and public hosts: where a request goes, and what it carries."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.support.fake_api import FakeApi
from tests.support.sending import Sender, built
from yaml_connector.errors import EvaluationError


class TestABaseUrlWithConfig:
    def sender(self, api: FakeApi, base_url: str, allowed: list[str], **config: str) -> Sender:
        return Sender(api, base_url=base_url, allowed_hosts=allowed, config=config)

    def test_leads_only_where_allowed_hosts_says(self) -> None:
        api = FakeApi({"GET https://eu.acme.test/": 200})
        self.sender(api, "https://${{ config.h }}", ["*.acme.test"], h="eu.acme.test").send()
        for host in (
            "evil.test",
            "evil.test/.acme.test",
            "x@evil.test",
            "evil.test#.acme.test",
            "evil.test?.acme.test",
            "acme.test",
        ):
            with pytest.raises(EvaluationError):
                self.sender(api, "https://${{ config.h }}", ["*.acme.test"], h=host).send()
        assert len(api.sent) == 1

    @pytest.mark.parametrize("end", ["/admin?x=", "/admin#", "?", "#", "/", "\\", "@a.acme.test", " "])
    def test_keeps_its_path_whatever_a_task_puts_into_the_host(self, end: str) -> None:
        api = FakeApi({"GET https://eu.acme.test/api/": 200})
        url = "https://${{ config.h }}.acme.test/api"
        self.sender(api, url, ["*.acme.test"], h="eu").send()
        with pytest.raises(
            EvaluationError, match=r"is part of a host, and .* has a character that no host of allowed_hosts has"
        ):
            self.sender(api, url, ["*.acme.test"], h=f"eu.acme.test{end}").send()
        assert [str(request.url) for request in api.sent] == ["https://eu.acme.test/api/"]
        with pytest.raises(
            EvaluationError, match=r"is part of a host, and .* has a character that no host of allowed_hosts has"
        ):
            built({"url": "https://${{ inputs.h }}.acme.test/x"}, inputs={"h": f"a.acme.test{end}"})

    def test_is_worked_out_for_each_config_however_it_is_named(self) -> None:
        api = FakeApi({"GET https://eu.acme.test/": 200, "GET https://us.acme.test/": 200})
        for expression in ("config.h", "config['h']", "config['' ~ 'h']", "config | jsonpath('$.h')"):
            sender = self.sender(api, "https://${{ " + expression + " }}.acme.test", ["*.acme.test"])
            for host in ("eu", "us"):
                sender.send(config={"h": host})
            assert [request.url.host for request in api.sent] == ["eu.acme.test", "us.acme.test"]
            api.sent.clear()


class TestAPublicHost:
    HEADERS: ClassVar[dict[str, Any]] = {
        "headers": {"X-Default": "d"},
        "query": {"k": "v"},
        "auth": {"type": "bearer", "token": "t"},
    }

    def test_is_read_without_credentials_default_headers_or_query(self) -> None:
        api = FakeApi({"GET https://files.test/x": 200})
        Sender(api, public_hosts=["files.test"], **self.HEADERS).send("GET https://files.test/x?sig=1")
        assert str(api.sent[0].url) == "https://files.test/x?sig=1"
        assert not {"authorization", "x-default"} & set(api.sent[0].headers)

    def test_that_is_allowed_too_gets_credentials_but_no_defaults(self) -> None:
        api = FakeApi({"GET https://files.test/x": 200})
        Sender(api, public_hosts=["files.test"], allowed_hosts=["files.test"], **self.HEADERS).send(
            "GET https://files.test/x"
        )
        assert api.sent[0].headers["Authorization"] == "Bearer t"
        assert "x-default" not in api.sent[0].headers
        assert not api.sent[0].url.query
