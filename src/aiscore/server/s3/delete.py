"""DeleteObjects: up to 1,000 keys in one request."""

from aiscore.errors import AisError, ObjectNotFoundError
from aiscore.model.objects import Precondition, Selection
from aiscore.server.http import BodySink, Response, ServerContext
from aiscore.server.s3.bodies import document
from aiscore.server.s3.call import Call, stored_etag, xml_response
from aiscore.server.s3.errors import code_of
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.names import name_of
from aiscore.server.s3.xml import Element, XmlWriter, read_xml

__all__ = ["MultiDelete"]

_KEYS_MAX = 1_000


class MultiDelete:
    """Answers DeleteObjects."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def delete_objects(self, call: Call) -> BodySink:
        """DeleteObjects; what is not there is deleted already."""

        def delete(body: bytes) -> Response:
            root = read_xml(body, ("Delete",))
            objects = list(root.all("Object"))
            if not 0 < len(objects) <= _KEYS_MAX:
                raise S3Error("MalformedXML", f"expected 1 to {_KEYS_MAX} objects to delete")
            keys = [item.get("Key") for item in objects]
            if not all(keys):
                raise S3Error("MalformedXML", "an object to delete has a Key")
            self._store.head_bucket(call.bucket)
            failed = self._delete(call, objects)
            is_quiet = (root.get("Quiet") or "").strip().lower() == "true"
            writer = XmlWriter("DeleteResult")
            for position, key in enumerate(keys):
                error = failed.get(position)
                if error is None and is_quiet:
                    continue
                writer.start("Deleted" if error is None else "Error")
                writer.text("Key", key)
                if error is not None:
                    writer.text("Code", code_of(error))
                    writer.prose("Message", error.message)
                writer.end()
            return xml_response(writer)

        return document(call, self._context, delete)

    def _delete(self, call: Call, objects: list[Element]) -> dict[int, AisError]:
        """Delete what can be deleted; errors by position."""
        failed: dict[int, AisError] = {}
        plain: list[str] = []
        for position, item in enumerate(objects):
            try:
                name = name_of(item.get("Key") or "")
                if (item.get("VersionId") or "null") != "null":
                    raise S3Error("NoSuchVersion", "The specified version does not exist")
                etag = item.get("ETag")
                if etag is None:
                    plain.append(name)
                    continue
                condition = Precondition(if_etag=stored_etag(etag.strip('"')))
                self._store.delete(call.bucket, name, condition)
            except ObjectNotFoundError:
                continue
            except AisError as exc:
                failed[position] = exc
        if plain:
            self._store.delete_many(call.bucket, Selection(names=tuple(dict.fromkeys(plain))))
        return failed
