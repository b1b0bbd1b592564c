// SPDX-License-Identifier: GPL-2.0-or-later
// TCP options of a SYN, in every order and in every kind of disorder.
#include <algorithm>

#include "fixture.h"
#include "mutator.h"

namespace synward::bpf_test {

class SynOptionTest : public BpfTest {
  protected:
    void both(const Bytes& list) {
        answered(tcp4({.syn = true, .options = list}).bytes());
        answered(tcp6({.syn = true, .options = list}).bytes());
    }
};

TEST_F(SynOptionTest, EveryOrderOfEverySubset) {
    const std::vector<Bytes> all = {mss(1460), sack_permitted(), timestamp(0xa1b2c3d4), wscale(7)};
    for (unsigned subset = 0; subset < 16; ++subset) {
        std::vector<Bytes> some;
        for (unsigned i = 0; i < 4; ++i)
            if (subset >> i & 1) some.push_back(all[i]);
        std::sort(some.begin(), some.end());
        do {
            Bytes plain, padded;
            for (const Bytes& option : some) {
                append(plain, option);
                while ((padded.size() + option.size()) % 4) append(padded, nop());
                append(padded, option);
            }
            both(options({plain}));
            both(options({padded}));
        } while (std::next_permutation(some.begin(), some.end()));
    }
}

TEST_F(SynOptionTest, EveryServiceSettingWithEveryClient) {
    for (unsigned allowed = 0; allowed < 16; ++allowed) {
        policy.web().options = static_cast<std::uint8_t>(allowed);
        store();
        for (const Bytes& list : {Bytes{}, linux_syn_options(), windows_syn_options(),
                                  options({mss(1400), nop(), nop(), timestamp(9), nop(), wscale(2)}),
                                  options({mss(1400), sack_permitted(), timestamp(9)}),
                                  options({mss(1400), sack_permitted(), nop(), nop()})}) {
            answered(tcp4({.syn = true, .ece = true, .cwr = true, .options = list}).bytes());
            answered(tcp6({.syn = true, .ece = true, .cwr = true, .options = list}).bytes());
        }
    }
}

TEST_F(SynOptionTest, EveryMssFindsItsPlaceInTheTable) {
    for (const unsigned value :
         {0u,    1u,    88u,   535u,  536u,  537u,  1219u, 1220u, 1299u, 1300u, 1301u,  1419u,
          1420u, 1439u, 1440u, 1441u, 1459u, 1460u, 1461u, 8939u, 8940u, 8941u, 32768u, 65535u})
        both(options({mss(value)}));
}

TEST_F(SynOptionTest, EveryWindowScale) {
    for (unsigned shift = 0; shift < 256; ++shift) {
        both(options({mss(1460), nop(), wscale(shift)}));
        both(options({mss(1460), sack_permitted(), timestamp(1), nop(), wscale(shift)}));
    }
}

TEST_F(SynOptionTest, EveryTimestampIsEchoed) {
    for (const std::uint32_t value : {0u, 1u, 0x80000000u, 0xffffffffu, 0x00ff00ffu})
        both(linux_syn_options(value));
}

TEST_F(SynOptionTest, WrongLengthsAreSkippedByTheirLength) {
    for (const unsigned kind : {2u, 3u, 4u, 8u}) {
        for (unsigned length = 2; length <= 14; ++length) {
            const Bytes odd = raw_option(kind, length, Bytes(length - 2, 3));
            both(options({odd, mss(1400), sack_permitted(), wscale(5)}));
            both(options({mss(1400), wscale(5), odd, sack_permitted()}));
        }
    }
}

TEST_F(SynOptionTest, TheListEndsAtEolAtShortLengthsAndBeyondTheEnd) {
    both(options({end_of_options(), mss(1460), wscale(7)}));
    both(options({mss(1460), end_of_options(), wscale(7)}));
    for (const unsigned kind : {2u, 3u, 4u, 8u, 5u, 34u, 255u}) {
        for (const unsigned length : {0u, 1u})
            both(options({sack_permitted(), raw_option(kind, length, {}), mss(1460)}));
        for (const unsigned length : {9u, 11u, 40u, 255u})
            both(options({wscale(3), nop(), raw_option(kind, length, {}), mss(1460)}));
        // The kind is the very last byte: there is no length.
        Bytes cut = options({mss(1460), nop(), nop(), nop(), nop()});
        cut.back() = static_cast<std::uint8_t>(kind);
        both(cut);
    }
    // Complete but for one byte.
    for (const Bytes& last : {mss(1460), timestamp(5), wscale(7)}) {
        Bytes list = sack_permitted();
        Bytes cut(last.begin(), last.end() - 1);
        while ((list.size() + cut.size()) % 4) append(list, nop());
        append(list, cut);
        both(list);
    }
}

TEST_F(SynOptionTest, TheLastOfDuplicatesWins) {
    both(options({mss(1300), mss(1460)}));
    both(options({mss(1460), mss(536)}));
    both(options({mss(1460), mss(0)}));
    both(options({wscale(3), wscale(9), mss(1460)}));
    both(options({timestamp(1), timestamp(2), mss(1460)}));
    both(options({timestamp(1), raw_option(8, 9, Bytes(7)), mss(1460)}));
    both(options({wscale(1), wscale(2), wscale(3), wscale(4), wscale(5), wscale(6), wscale(7), wscale(8)}));
}

TEST_F(SynOptionTest, AFullListIsReadToItsEnd) {
    Bytes nops(36, 1);
    both(options({nops, mss(1460)}));
    both(options({Bytes(38, 1), sack_permitted()}));
    both(options({Bytes(37, 1), wscale(7)}));
    both(options({Bytes(30, 1), timestamp(0x01020304)}));
    both(Bytes(40, 1));
    both(Bytes(40, 0));
    both(Bytes(40, 4));
    both(options({sack_permitted(), sack_permitted(), sack_permitted(), sack_permitted(), sack_permitted(),
                  sack_permitted(), sack_permitted(), sack_permitted(), sack_permitted(), sack_permitted(),
                  sack_permitted(), sack_permitted(), sack_permitted(), sack_permitted(), sack_permitted(),
                  sack_permitted(), sack_permitted(), wscale(7), wscale(8)}));
}

TEST_F(SynOptionTest, UnknownOnesAreNeverReflected) {
    for (unsigned kind = 5; kind < 256; ++kind) {
        if (kind == 8) continue;
        both(options({raw_option(kind, 6, Bytes(4, 0xee)), mss(1460), sack_permitted()}));
    }
}

TEST_F(SynOptionTest, RandomLists) {
    const auto seed = Mutator::pick_seed();
    SCOPED_TRACE("SYNWARD_SEED=" + std::to_string(seed));
    Mutator random(seed);
    for (int i = 0; i < 4000 && !HasFailure(); ++i) {
        Tcp tcp{.seq = random.word(), .syn = true, .ece = random.one_in(2), .cwr = random.one_in(2)};
        if (random.one_in(3)) {  // not even options by their looks
            tcp.options.resize(4 * random.below(11));
            for (auto& byte : tcp.options) byte = static_cast<std::uint8_t>(random.below(12));
        } else {
            tcp.options = random.tcp_options();
        }
        both(tcp.options);
        answered(tcp4(tcp).bytes());
    }
}

}  // namespace synward::bpf_test
