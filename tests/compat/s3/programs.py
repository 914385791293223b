"""Programs and libraries that speak S3, run as people run them, against a server that wants signatures."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.compat.clients.environments import S3_TOOLS, S3FS, program_of
from tests.integration.server.process import Served

__all__ = ["ACCESS", "REGION", "SECRET", "Programs"]

ACCESS, SECRET = "AKIDCOMPAT", "s3cr3t/with+signs="
REGION = "us-east-1"
DEADLINE_S = 120


@dataclass(frozen=True)
class Programs:
    """A server, and where its clients have their home."""

    server: Served
    home: Path

    @property
    def endpoint(self) -> str:
        return f"{self.server.url}/s3"

    @property
    def address(self) -> str:
        return self.server.url.partition("//")[2]

    def run(
        self, *args: str, code: int = 0, environ: Mapping[str, str] | None = None, cwd: str = ""
    ) -> str:
        """Standard output of a program, which must end with `code`."""
        done = subprocess.run(
            args,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            cwd=cwd or str(self.home),
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "AWS_ACCESS_KEY_ID": ACCESS,
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_EC2_METADATA_DISABLED": "true",
                **(environ or {}),
            },
        )
        assert done.returncode == code, f"{args}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def aws(self, *args: str, code: int = 0) -> str:
        return self.run(
            program_of(S3_TOOLS, "aws"), "--endpoint-url", self.endpoint, *args, code=code
        )

    def s5cmd(self, *args: str, code: int = 0) -> str:
        return self.run(
            program_of(S3_TOOLS, "s5cmd"), "--endpoint-url", self.endpoint, *args, code=code
        )

    def rclone(self, *args: str, code: int = 0) -> str:
        configured = {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ENDPOINT": self.endpoint,
            "ACCESS_KEY_ID": ACCESS,
            "SECRET_ACCESS_KEY": SECRET,
            "REGION": REGION,
        }
        environ = {f"RCLONE_CONFIG_S_{name}": value for name, value in configured.items()}
        environ["RCLONE_CONFIG"] = "/dev/null"
        return self.run(program_of(S3_TOOLS, "rclone"), *args, code=code, environ=environ)

    def s3cmd(self, *args: str, code: int = 0) -> str:
        # s3cmd has no place for a path in front of the bucket.
        options = (f"--access_key={ACCESS}", f"--secret_key={SECRET}", "--no-ssl", "--no-progress")
        where = (f"--host={self.address}", f"--host-bucket={self.address}/%(bucket)")
        return self.run("s3cmd", "--config=/dev/null", *options, *where, *args, code=code)

    def restic(self, *args: str, code: int = 0) -> str:
        # In the URL of a repository the first component is the bucket.
        where = {"RESTIC_REPOSITORY": f"s3:{self.server.url}/restic/repo", "RESTIC_PASSWORD": "x"}
        return self.run("restic", "--no-cache", *args, code=code, environ=where)

    def curl(self, *args: str, path: str, code: int = 0) -> str:
        signed = ("--aws-sigv4", f"aws:amz:{REGION}:s3", "--user", f"{ACCESS}:{SECRET}")
        return self.run("curl", "-sS", "-q", *signed, *args, f"{self.endpoint}{path}", code=code)

    def python(self, environment: str, script: str, *args: str) -> str:
        """A program of ours with somebody's library; it knows `ADDRESS`, `ENDPOINT`, `ACCESS` and `SECRET`."""
        head = (
            f"import sys\nADDRESS, ENDPOINT = {self.address!r}, {self.endpoint!r}\n"
            f"ACCESS, SECRET, REGION = {ACCESS!r}, {SECRET!r}, {REGION!r}\n"
        )
        assert environment in {S3_TOOLS, S3FS}
        return self.run(program_of(environment, "python"), "-c", head + script, *args)
