// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/replay/capture.h"

#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>

#include <algorithm>

#include "lib/replay/link_type.h"

namespace synward::replay {

void Capture::Close::operator()(pcap* file) const {
    pcap_close(file);
}

Capture::Capture(File file, std::string name, const Mac& host)
    : file_(std::move(file)), name_(std::move(name)), host_(host), link_type_(pcap_datalink(file_.get())) {
    const char* link = pcap_datalink_val_to_description(link_type_);
    link_type_name_ = link ? link : fmt::format("link type {}", link_type_);
}

Result<Capture> Capture::read(Stream stream, const std::string& name, const Mac& host) {
    char why[PCAP_ERRBUF_SIZE] = "";
    File file(pcap_fopen_offline_with_tstamp_precision(stream.get(), PCAP_TSTAMP_PRECISION_NANO, why));
    if (!file)
        return fail(ErrorCode::usage,
                    fmt::format("{} is no capture file that libpcap reads ({}); make one with `tcpdump -w`",
                                name, why));
    [[maybe_unused]] std::FILE* const theirs = stream.release();  // pcap_close() closes it
    Capture capture(std::move(file), name, host);
    if (!link_type_known(capture.link_type_))
        return fail(
            ErrorCode::usage,
            fmt::format("{}: packets of the link type '{}' cannot be replayed; capture on an Ethernet "
                        "interface, or on 'any'",
                        name, capture.link_type_name_));
    return capture;
}

Result<bool> Capture::next(Packet& packet) {
    for (;;) {
        pcap_pkthdr* header = nullptr;
        const std::uint8_t* bytes = nullptr;
        const int got = pcap_next_ex(file_.get(), &header, &bytes);
        if (got == PCAP_ERROR_BREAK) return false;
        if (got != 1)
            return fail(ErrorCode::system,
                        fmt::format("{}: behind packet {}: {}", name_, count_, pcap_geterr(file_.get())));
        packet.number = ++count_;
        packet.time = header->ts.tv_sec * 1'000'000'000LL + header->ts.tv_usec;
        packet.length = std::max(header->len, header->caplen);
        packet.cut = header->caplen < header->len;
        if (to_ethernet(link_type_, {bytes, header->caplen}, host_, packet)) return true;
        unreadable_++;
    }
}

}  // namespace synward::replay
