// SPDX-License-Identifier: GPL-2.0-or-later
#include "cookie.h"

#include "siphash.h"

namespace synward::bpf_test {

namespace {

constexpr unsigned kMssTable[2][4] = {{536, 1300, 1440, 1460}, {1220, 1420, 1440, 8940}};
constexpr unsigned kNoWscale = 15;

// The word w(index) of an epoch's keys.
std::uint64_t key_word(std::uint32_t epoch, unsigned index, const sw_keyring& keyring) {
    const auto& master = keyring.key[epoch >= keyring.since ? keyring.active : 1 - keyring.active];
    Bytes message;
    for (int shift = 0; shift < 32; shift += 8) put8(message, epoch >> shift);
    put8(message, index);
    return siphash({master[0], master[1]}, message);
}

std::uint32_t little_endian(const Bytes& bytes, std::size_t at) {
    std::uint32_t word = 0;
    for (unsigned i = 0; i < 4; ++i) word |= static_cast<std::uint32_t>(bytes[at + i]) << 8 * i;
    return word;
}

// NH over the fields in their order: pairs of words, each word with its key.
std::uint64_t nh(const Bytes& message, std::uint32_t epoch, const sw_keyring& keyring) {
    std::uint64_t sum = 0;
    for (std::size_t pair = 0; pair < message.size() / 8; ++pair) {
        const std::uint64_t key = key_word(epoch, static_cast<unsigned>(4 + pair), keyring);
        const std::uint32_t a = little_endian(message, 8 * pair) + static_cast<std::uint32_t>(key);
        const std::uint32_t b = little_endian(message, 8 * pair + 4) + static_cast<std::uint32_t>(key >> 32);
        sum += std::uint64_t{a} * b;
    }
    return sum;
}

std::uint64_t hash(const Segment& s, std::uint32_t isn, std::uint32_t epoch, const sw_keyring& keyring) {
    Bytes message = s.source;
    append(message, s.destination);
    put16(message, s.source_port);
    put16(message, *s.port);
    put32(message, isn);
    const std::uint64_t compressed = nh(message, epoch, keyring);
    Bytes word;
    for (int shift = 0; shift < 64; shift += 8) put8(word, static_cast<unsigned>(compressed >> shift & 0xff));
    const unsigned first = s.v6 ? 2 : 0;
    return siphash_words({key_word(epoch, first, keyring), key_word(epoch, first + 1, keyring)}, word,
                         {1, 3});
}

}  // namespace

Negotiated negotiate(const Segment& syn, const sw_service& service) {
    const Options client = read_options(syn.options);
    Negotiated result;
    for (unsigned i = 0; i < 4; ++i)
        if (kMssTable[syn.v6][i] <= client.mss) result.mss_index = i;
    result.ecn = (service.options & SW_OPTION_ECN) && (syn.flags & kEce) && (syn.flags & kCwr);
    result.sack = (service.options & SW_OPTION_SACK) && client.sack;
    if (service.options & SW_OPTION_WSCALE) result.wscale = client.wscale;
    if (service.options & SW_OPTION_TIMESTAMP) result.timestamp = client.timestamp;
    return result;
}

std::uint8_t option_byte(const Negotiated& n) {
    return static_cast<std::uint8_t>(n.mss_index << 6 | n.ecn << 5 | n.sack << 4 |
                                     n.wscale.value_or(kNoWscale));
}

Cookie bake(const Segment& syn, std::uint32_t isn, std::uint8_t byte, std::uint32_t epoch,
            const sw_keyring& keyring) {
    const std::uint64_t h = hash(syn, isn, epoch, keyring);
    const auto check = static_cast<std::uint32_t>(h >> 41);
    const auto mask = static_cast<std::uint8_t>(h >> 33);
    return {.isn = check << 9 | static_cast<std::uint32_t>(byte ^ mask) << 1 | (epoch & 1),
            .timestamp = static_cast<std::uint32_t>(h)};
}

std::optional<std::uint8_t> verify(const Segment& ack, std::uint32_t epoch, const sw_keyring& keyring) {
    const std::uint32_t isn = ack.ack_seq - 1;
    if ((isn ^ epoch) & 1) --epoch;
    const std::uint64_t h = hash(ack, ack.seq - 1, epoch, keyring);
    if (h >> 41 != isn >> 9) return std::nullopt;
    const Options options = read_options(ack.options);
    if (options.timestamp && options.timestamp->echo != static_cast<std::uint32_t>(h)) return std::nullopt;
    return static_cast<std::uint8_t>(isn >> 1 ^ h >> 33);
}

}  // namespace synward::bpf_test
