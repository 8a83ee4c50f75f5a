# A Keydir node: keydir-fs and keydir-httpd on one store (common/scripts/container.sh).
# docker-compose.yml starts three of them with Kafka and Nginx.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY tests/packages.txt tests/
# Install the packages that `make deps` installs: the first name of each line.
RUN apt-get update && \
	sed -n '/^\[building\]/,/^$/s/^\([a-z0-9][^|]*\).*/\1/p' tests/packages.txt | \
	xargs apt-get install -y --no-install-recommends && \
	rm -rf /var/lib/apt/lists/*
COPY Makefile ./
COPY common common
COPY fs fs
COPY httpd httpd
RUN make -j"$(nproc)" all && \
	mkdir /out && \
	install -s build/keydir-fs build/keydir-httpd /out && \
	install common/scripts/container.sh /out/keydir-node

FROM debian:bookworm-slim
RUN apt-get update && \
	apt-get install -y --no-install-recommends curl \
		libfuse3-3 libjansson4 liblmdb0 libmicrohttpd12 librdkafka1 && \
	rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
# Fail now if a library is missing.
RUN keydir-fs --version && keydir-httpd --version
EXPOSE 8080
ENTRYPOINT ["keydir-node"]
