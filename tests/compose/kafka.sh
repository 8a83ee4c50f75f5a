#!/bin/bash
# The stand-in for the image apache/kafka: each variable KAFKA_SOME_THING is a
# line some.thing of server.properties, as there.
set -eu
properties=/tmp/server.properties
env | sed -n 's/^KAFKA_\([A-Z_]*\)=/\1=/p' | while IFS='=' read -r name value; do
	name=${name,,}
	echo "${name//_/.}=$value"
done >"$properties"
data=${KAFKA_LOG_DIRS:-/tmp/kraft-combined-logs}
jvm=(java -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1
	-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp '/opt/kafka/libs/*')
[ -e "$data/meta.properties" ] ||
	"${jvm[@]}" kafka.tools.StorageTool format -t "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" -c "$properties"
exec "${jvm[@]}" kafka.Kafka "$properties"
