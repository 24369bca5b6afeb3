"""A secret of AWS Secrets Manager, read by the process's own role."""

from __future__ import annotations

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from service.errors import StartupError

# Short and tried once: whoever reads does so again after a while.
CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})


class Secret:
    """One secret, named by its ARN, which also says the region.

    Raises:
        StartupError: it is none.
    """

    def __init__(self, arn: str) -> None:
        match arn.split(":", maxsplit=6):
            case ["arn", _, "secretsmanager", region, _, "secret", _] if region:
                pass
            case _:
                raise StartupError(
                    f"RAG_API_KEYS_FROM: {arn} is no ARN of a secret; "
                    "give arn:aws:secretsmanager:<region>:<account>:secret:<name>"
                )
        self._arn = arn
        self._client = boto3.session.Session().client("secretsmanager", region_name=region, config=CONFIG)

    def read(self) -> bytes:
        """The value that is current now; blocks.

        Raises:
            OSError: it can't be had; one line that says why.
        """
        try:
            return str(self._client.get_secret_value(SecretId=self._arn)["SecretString"]).encode()
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "an error")
            raise OSError(
                f"Secrets Manager answered {code}; the role needs secretsmanager:GetSecretValue on it "
                "and kms:Decrypt on its key"
            ) from exc
        except BotoCoreError as exc:
            raise OSError(f"Secrets Manager gave no answer ({type(exc).__name__})") from exc
        except KeyError:
            raise OSError("the secret holds no text") from None
