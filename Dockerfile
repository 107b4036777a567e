# Airbyte's base for Python connectors (Python 3.13). Any Debian with python3, its venv module and
# CA certificates does as well.
ARG BASE_IMAGE=docker.io/airbyte/python-connector-base:4.1.1@sha256:a268b44c733ae699a60f5fbc06a324945dba98945c6e2ab7f8609f2f895b0d28


FROM ${BASE_IMAGE} AS builder

USER root
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_DEPS=1

# Two venvs: one holds pip and the build backend and stays behind, the other is what ships.
RUN python3 -m venv /tools && python3 -m venv --without-pip /opt/source-microsoft-graph

# Packages' own tests, a fifth of their weight, stay behind as well.
# The secret `ca` is the CA bundle of a network that inspects TLS; no layer keeps it.
COPY dev.py poetry.lock ./
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python3 dev.py requirements build > build.txt \
    && python3 dev.py requirements main > main.txt \
    && /tools/bin/pip install --quiet --require-hashes --only-binary=:all: --requirement build.txt \
    && /tools/bin/pip --python /opt/source-microsoft-graph/bin/python3 \
        install --quiet --no-compile --require-hashes --only-binary=:all: --requirement main.txt \
    && find /opt/source-microsoft-graph/lib -type d -name tests -prune -exec rm -r {} +

COPY pyproject.toml README.md ./
COPY source_microsoft_graph source_microsoft_graph
RUN /tools/bin/pip wheel --quiet --no-build-isolation --wheel-dir wheel . \
    && /tools/bin/pip --python /opt/source-microsoft-graph/bin/python3 install --quiet --no-compile --no-index wheel/*.whl

# The user of the final image may not write bytecode, so it comes along, with no clock to check it against.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/source-microsoft-graph


FROM ${BASE_IMAGE}

USER root
RUN id airbyte > /dev/null 2>&1 || useradd --uid 1000 --user-group --create-home airbyte
COPY --from=builder /opt/source-microsoft-graph /opt/source-microsoft-graph

USER airbyte
WORKDIR /airbyte/integration_code
ENV AIRBYTE_ENTRYPOINT="/opt/source-microsoft-graph/bin/source-microsoft-graph"
ENTRYPOINT ["/opt/source-microsoft-graph/bin/source-microsoft-graph"]

LABEL io.airbyte.name="airbyte/source-microsoft-graph" \
      io.airbyte.version="0.1.0"
