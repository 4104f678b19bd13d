"""A blueprint whose views all keep the same promises, without a line of their own for them."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app

from registry.errors import RegistryError
from registry.faces.inbound import note_refusal

View = Callable[..., Any]
Wrapper = Callable[[View], View]


class Face(Blueprint):
    """A blueprint that puts each of its views into the same wrappers, the first one innermost."""

    def __init__(self, name: str, import_name: str, *wrappers: Wrapper) -> None:
        super().__init__(name, import_name)
        self.wrappers = wrappers
        self.bare: dict[str, View] = {}

    def refuse_with(self, render: Callable[[RegistryError], Response]) -> None:
        """Answer a refusal in the face's own words, once it was noted where it has to be."""

        def refused(error: RegistryError) -> Response:
            note_refusal(error)
            return render(error)

        self.register_error_handler(RegistryError, refused)

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: View | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Take a view in; Flask calls this for `get`, `post` and all the others."""
        if view_func is not None:
            self.bare[f"{self.name}.{endpoint or view_func.__name__}"] = view_func
            for wrapper in self.wrappers:
                view_func = wrapper(view_func)
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)


def bare_view(endpoint: str) -> View | None:
    """The view of an endpoint without its wrappers; None if it belongs to no face."""
    face = current_app.blueprints.get(endpoint.partition(".")[0])
    return face.bare.get(endpoint) if isinstance(face, Face) else None
