"""Tags of objects."""

from aiscore.server.http import BodySink, Response, ServerContext
from aiscore.server.s3.bodies import document
from aiscore.server.s3.call import Call, xml_response
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.metadata import TAGS_KEY, format_tags, parse_tags
from aiscore.server.s3.xml import XmlWriter, read_xml

__all__ = ["Tagging"]


class Tagging:
    """Answers what is about tags."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def get(self, call: Call) -> Response:
        """GetObjectTagging."""
        custom = self._store.head(call.bucket, call.name).custom
        writer = XmlWriter("Tagging")
        writer.start("TagSet")
        for key, value in parse_tags(custom.get(TAGS_KEY, "")):
            writer.start("Tag")
            writer.text("Key", key)
            writer.text("Value", value)
            writer.end()
        return xml_response(writer)

    def put(self, call: Call) -> BodySink:
        """PutObjectTagging."""

        def put(body: bytes) -> Response:
            root = read_xml(body, ("Tagging",))
            tags = []
            for tag_set in root.all("TagSet"):
                for tag in tag_set.all("Tag"):
                    key, value = tag.get("Key"), tag.get("Value")
                    if key is None or value is None:
                        raise S3Error("MalformedXML", "a tag has a Key and a Value")
                    tags.append((key, value))
            text = format_tags(tags)
            self._store.set_custom(call.bucket, call.name, {TAGS_KEY: text}, replace=False)
            return Response(200)

        return document(call, self._context, put)

    def delete(self, call: Call) -> Response:
        """DeleteObjectTagging."""
        self._store.set_custom(call.bucket, call.name, {TAGS_KEY: ""}, replace=False)
        return Response(204)
