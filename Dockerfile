# meshnet's image: the node daemon, four link drivers, the CNI plugin that it installs on the node, and every command.
#
#   docker build -t meshnet .
#
# Any builder that knows `RUN --mount` builds it, for amd64 and arm64. Where packages do not come from where they come
# from by default, the builder says so: build arguments PIP_INDEX_URL and PIP_EXTRA_INDEX_URL, and two secrets, both
# optional: `pip.conf`, and `ca.crt`, certificates that stand before a private registry. No secret, and no argument but
# BASE, leaves a trace in the image.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates gcc musl-tools python3-venv \
 && python3 -m venv /opt/meshnet
WORKDIR /src
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

# What others made, by itself: it changes seldom.
COPY pyproject.toml scripts/requirements ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt,target=/run/ca.crt \
    if [ -s /run/ca.crt ]; then export PIP_CERT=/run/ca.crt; fi \
 && ./requirements project dependencies > run.txt \
 && ./requirements build-system requires > build.txt \
 && /opt/meshnet/bin/pip install -r run.txt \
 && /opt/meshnet/bin/pip install --target /opt/build -r build.txt

COPY hatch_build.py README.md LICENSE ./
COPY meshnet meshnet
COPY plugins plugins
# No index any more. Without the compiled bytes of a class for each of Kubernetes' types, which meshnet does without.
RUN PYTHONPATH=/opt/build /opt/meshnet/bin/pip install --no-index --no-build-isolation . ./plugins/* \
 && test -x /opt/meshnet/lib/python3*/site-packages/meshnet/cni/bin/meshnet \
 && /opt/meshnet/bin/pip uninstall -y pip setuptools \
 && rm -rf /opt/meshnet/lib/python3*/site-packages/kubernetes/client/*/__pycache__

FROM ${BASE}
# libnftables1: the table that drops VXLAN frames of others.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libnftables1 python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/cache/debconf/*-old
COPY --from=build /opt/meshnet /opt/meshnet
ENV PATH=/opt/meshnet/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title=meshnet \
      org.opencontainers.image.description="Wires pods into a network topology" \
      org.opencontainers.image.licenses=Apache-2.0
# root: files in the node's CNI directories are root's, the local socket answers root alone, and capabilities that a pod
# is given reach no other user's process. What root may do there, the pod's securityContext says.
USER 0:0
ENTRYPOINT ["meshnet"]
CMD ["daemon"]
